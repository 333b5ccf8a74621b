// SPDX-License-Identifier: MPL-2.0

// Command site helps mkdocs with the documents (./build.sh site).
//
//	site pages ROOT OUT   copies the pages of mkdocs.yml, and what they link to, into OUT
//	site check SITE       follows the links between the pages of a made site
//	site terminal         a page of what tmux capture-pane -e writes, from standard input to standard output
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "pages":
		return pages(args[1], args[2])
	case len(args) == 2 && args[0] == "check":
		return tell(check(args[1]))
	case len(args) == 1 && args[0] == "terminal":
		text, err := io.ReadAll(os.Stdin)
		fmt.Print(terminal(string(text)))
		return err
	}
	return fmt.Errorf("usage: site pages ROOT OUT | site check SITE | site terminal")
}

// tell prints what a check has found. Links that lead elsewhere are not followed.
func tell(dead, outward []string, err error) error {
	slices.Sort(dead)
	slices.Sort(outward)
	for _, link := range outward {
		fmt.Println("not followed:", link)
	}
	for _, link := range dead {
		fmt.Println("dead:", link)
	}
	if err == nil && len(dead) > 0 {
		err = fmt.Errorf("%d dead links", len(dead))
	}
	return err
}
