// SPDX-License-Identifier: MPL-2.0

// Draw draws the pictures of the documents: doc/message.svg and doc/packages.svg. Run it
// by "go generate ./doc/draw" when the tree has another package, or one imports another.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run . ../..

// pictures draws every picture of a source tree, by its path in there.
func pictures(root string) (map[string]*canvas, error) {
	packages, err := packages(root)
	return map[string]*canvas{"doc/message.svg": message(), "doc/packages.svg": packages}, err
}

func main() {
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(root string) error {
	all, err := pictures(root)
	if err != nil {
		return err
	}
	for name, c := range all {
		if err := os.WriteFile(filepath.Join(root, name), []byte(c.svg()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
