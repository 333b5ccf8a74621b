// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxima are the lines of the longest file and of the longest function, and the
// characters of the longest line, as they are today. Lower them when you can. If yours
// is longer, split it: nobody raises them without a word about why.
var maxima = map[string]struct{ file, function, line int }{
	"capi":  {396, 48, 133},
	"core":  {418, 62, 144},
	"tests": {581, 127, 165}, // with the Go tests beside the code
}

// Laid out by gofmt and clang-format, a function ends where a brace begins a line.
var function = regexp.MustCompile(`(?ms)^(func [^\n]*\{|[^\n]*\)\n\{)\n.*?^\}$`)

func TestNothingIsLongerThanTheLongest(t *testing.T) {
	var bad []string
	for folder := range maxima {
		names, err := sources(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			most := maxima[folder]
			if strings.HasSuffix(name, "_test.go") {
				most = maxima["tests"]
			}
			check := func(what string, found, most int) {
				if found > most {
					bad = append(bad, fmt.Sprintf("%s: %s of %d, at most %d", name, what, found, most))
				}
			}
			text := read(t, name)
			if strings.Contains(strings.ToLower(text[:min(len(text), 300)]), "do not edit") {
				continue
			}
			check("lines", strings.Count(text, "\n"), most.file)
			for _, f := range function.FindAllString(text, -1) {
				head, body, _ := strings.Cut(f, "\n")
				check(head, strings.Count(body, "\n")+2, most.function)
			}
			for line := range strings.Lines(text) {
				check("a line", utf8.RuneCountInString(line)-1, most.line)
			}
		}
	}
	report(t, bad)
}

func sources(folder string) (names []string, err error) {
	err = filepath.WalkDir(filepath.Join(root, folder), func(name string, _ fs.DirEntry, err error) error {
		switch filepath.Ext(name) {
		case ".c", ".h", ".cpp", ".go":
			names = append(names, name)
		}
		return err
	})
	return names, err
}
