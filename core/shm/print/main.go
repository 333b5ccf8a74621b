// SPDX-License-Identifier: MPL-2.0

// Command print writes what capi's C half has to know about Go: the structs and
// constants that Go's sources mark for it. `go generate ./...` runs it.
//
// A struct is marked by a line of its comment, and a group of constants by one of
// the group's comment:
//
//	//capi:struct zl_slab
//	//capi:const ZL
//
// The name is that of the struct in C, or the prefix of the constants there. A struct that
// is the end of a struct of zlink.h, from byte 8 on, has one more line:
//
//	//capi:ends zlink_x_t 8
//
// Comments are printed, too. The printed files check themselves: the C files assert every
// size and offset, and the Go file stops a build of capi whose C files are older than
// their sources.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// module is the import path of the module whose sources are printed.
const module = "github.com/zlink/zlink/"

// header is a C file, with the folders of the packages that it is printed from.
type header struct {
	file     string
	from     []string
	includes []string
}

var headers = []header{
	{file: "capi/layout.h", from: []string{"core/shm"}, includes: []string{"<stdatomic.h>", "<stddef.h>", "<stdint.h>"}},
	{file: "capi/types.h", from: []string{"core/probe", "core/engine", "core/sockets/stream"},
		includes: []string{"<stddef.h>", "<stdint.h>", "\"zlink.h\""}},
}

// guardFile is the Go file that guards all headers.
const guardFile = "capi/layout.go"

// render returns the printed files by their paths in the module.
func render(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	var all []*source
	for _, h := range headers {
		var sources []*source
		for _, dir := range h.from {
			s, err := load(root, dir)
			if err != nil {
				return nil, err
			}
			sources = append(sources, s)
		}
		text, err := h.print(sources)
		if err != nil {
			return nil, err
		}
		files[h.file] = text
		all = append(all, sources...)
	}
	guard, err := guard(all)
	files[guardFile] = guard
	return files, err
}

func run(root string) error {
	files, err := render(root)
	if err != nil {
		return err
	}
	for path, text := range files {
		if err := os.WriteFile(filepath.Join(root, path), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: print MODULE_ROOT")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "print:", err)
		os.Exit(1)
	}
}
