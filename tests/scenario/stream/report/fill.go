// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
)

// A block of a document stands between these two lines; only what is between
// them changes.
var blockPattern = regexp.MustCompile(`(?ms)^<!-- numbers ([a-z0-9-]+) -->\n.*?^<!-- end -->$`)

// fill writes the numbers of a run into the blocks of a document, and says which
// of them the run had none for: these stay as they are.
func fill(out io.Writer, document string, i info, s summary) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	filled, all := 0, blocks()
	var unknown error
	result := blockPattern.ReplaceAllStringFunc(string(text), func(old string) string {
		name := blockPattern.FindStringSubmatch(old)[1]
		at := slices.IndexFunc(all, func(b block) bool { return b.name == name })
		if at < 0 {
			unknown = errors.Join(unknown, fmt.Errorf("%s: no numbers are called %q", document, name))
			return old
		}
		numbers := all[at].numbers(i, s)
		if numbers == "" {
			fmt.Fprintf(out, "%s: %s stays as it is\n", document, name)
			return old
		}
		fmt.Fprintf(out, "%s: %s\n", document, name)
		filled++
		return fmt.Sprintf("<!-- numbers %s -->\n%s\n%s<!-- end -->", name, numbers, i.origin(s))
	})
	if unknown != nil {
		return unknown
	}
	if filled == 0 {
		return fmt.Errorf("%s: no block that this run has numbers for", document)
	}
	return os.WriteFile(document, []byte(result), 0o644)
}
