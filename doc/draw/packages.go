// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

const module = "github.com/zlink/zlink/"

// house are the packages, from the caller down to the system: each may import what is
// below its floor, and no more. A package that is not here is an error.
var house = [][]room{
	{{"capi", "app", 290, 400, "the C API; calls into Go,", "and the common case in C"}},
	{{"core/sockets/stream", "driver", 290, 400, "the STREAM socket: options, endpoints,", "routing table, the two modes, peers"}},
	{{"core/sockets", "driver", 290, 400, "what any socket type has: option numbers,", "waiting, poll, monitors"}},
	{{"core", "driver", 290, 400, "the context: io threads, limits,", "the life of sockets"}},
	{{"core/engine", "driver", 290, 400, "shards, listeners, dialers, connections:", "bytes between kernel and queues"}},
	{{"core/certs", "driver", 30, 150, "certificates and", "keys from files"},
		{"core/endpoint", "driver", 195, 165, "texts of endpoints,", "and addresses"},
		{"core/admin", "driver", 375, 140, "statistics for", "who asks"},
		{"core/wait", "driver", 530, 165, "one thread waits for", "signals of others"},
		{"core/shm", "shared", 710, 200, "what C and Go share:", "queues, pools, protocols"}},
	{{"core/errno", "driver", 120, 170, "error numbers,", "with a sentence"},
		{"core/check", "driver", 310, 150, "assertions, in the", "builds that test"},
		{"core/sys", "driver", 480, 230, "all that the system is", "asked for: the port"},
		{"core/probe", "driver", 760, 170, "where tracers of", "the system look on"}},
}

// room is one package: its folder, its colour, its place on the floor, and what it is.
type room struct {
	folder, class string
	x, w          int
	first, second string
}

// graph is who imports whom, by folder.
type graph map[string][]string

// imports reads the graph of a source tree.
func imports(root string) (graph, error) {
	g := graph{}
	files, err := sources(root)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		folder, _ := filepath.Rel(root, filepath.Dir(name))
		folder = filepath.ToSlash(folder)
		if file.Name.Name == "main" && folder != "capi" {
			continue // a program
		}
		if g[folder] == nil {
			g[folder] = []string{}
		}
		for _, spec := range file.Imports {
			if path, own := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module); own && !slices.Contains(g[folder], path) {
				g[folder] = append(g[folder], path)
			}
		}
	}
	return g, nil
}

// sources are the Go files of the library, without tests and programs.
func sources(root string) (names []string, err error) {
	for _, pattern := range []string{"capi", "core", "core/*", "core/*/*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			if !strings.HasSuffix(name, "_test.go") {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// reaches reports whether a package imports another, itself or through others.
func (g graph) reaches(from, to string) bool {
	for _, next := range g[from] {
		if next == to || g.reaches(next, to) {
			return true
		}
	}
	return false
}

// direct are the imports of a package that no other import of it has as well.
func (g graph) direct(from string) (all []string) {
	for _, to := range g[from] {
		if !slices.ContainsFunc(g[from], func(other string) bool { return other != to && g.reaches(other, to) }) {
			all = append(all, to)
		}
	}
	sort.Strings(all)
	return all
}

// check compares the house with the tree.
func check(g graph) error {
	floor := map[string]int{}
	for i, rooms := range house {
		for _, r := range rooms {
			floor[r.folder] = i + 1
			if g[r.folder] == nil {
				return fmt.Errorf("doc/draw/packages.go: there is no package %s", r.folder)
			}
		}
	}
	for from, all := range g {
		if floor[from] == 0 {
			return fmt.Errorf("doc/draw/packages.go: the package %s is missing", from)
		}
		for _, to := range all {
			if floor[to] <= floor[from] {
				return fmt.Errorf("%s imports %s, which is not below it", from, to)
			}
		}
	}
	return nil
}

// The measures of the house.
const (
	floorH, roomH = 96, 66
	houseTop      = 84
)

func floorY(floor int) int { return houseTop + floor*floorH }

// packages draws the packages and who imports whom; an import that follows from others
// is left out.
func packages(root string) (*canvas, error) {
	g, err := imports(root)
	if err == nil {
		err = check(g)
	}
	if err != nil {
		return nil, err
	}
	bottom := floorY(len(house))
	c := &canvas{width: 980, height: bottom + 60, title: "The packages, from the caller to the system"}
	c.band(14, floorY(1)-14, 952, bottom-floorY(1), "driver")
	at := rooms(c)
	for _, floor := range house {
		for _, r := range floor {
			for _, to := range g.direct(r.folder) {
				joint(c, at[r.folder], at[to])
			}
		}
	}
	outside(c, at, bottom)
	return c, nil
}

// rooms puts the packages on their floors.
func rooms(c *canvas) map[string]area {
	at := map[string]area{}
	for i, floor := range house {
		for _, r := range floor {
			at[r.folder] = c.box(r.x, floorY(i), r.w, roomH, r.class, r.folder, r.first, r.second)
		}
	}
	return at
}

// joint is an arrow from a package to one below it.
func joint(c *canvas, from, to area) {
	left, right := max(from.x, to.x), min(from.x+from.w, to.x+to.w)
	bottom := from.y + from.h
	switch {
	case to.y > from.y+floorH: // past a floor: out of the side
		c.arrow("", from.x, from.y+from.h*3/4, to.x+to.w/2, from.y+from.h*3/4, to.x+to.w/2, to.y)
	case right-left >= 20:
		c.arrow("", (left+right)/2, bottom, (left+right)/2, to.y)
	case to.x < from.x:
		c.arrow("", from.x+20, bottom, to.x+to.w-20, to.y)
	default:
		c.arrow("", from.x+from.w-20, bottom, to.x+20, to.y)
	}
}

// outside draws what the packages stand between.
func outside(c *canvas, at map[string]area, bottom int) {
	capi, stream, shm, sys := at["capi"], at["core/sockets/stream"], at["core/shm"], at["core/sys"]
	c.box(capi.x, 14, capi.w, 40, "app", "programs in C, C++ and C#")
	c.arrow("", capi.x+capi.w/2, 54, capi.x+capi.w/2, capi.y)
	c.text(capi.x+capi.w/2+10, 74, "start", "faint", "include/zlink.h")
	c.box(30, 14, 180, 40, "app", "programs in Go")
	c.arrow("", 110, 54, 110, stream.y+stream.h/4, stream.x, stream.y+stream.h/4)
	c.box(sys.x, bottom+6, sys.w, 40, "kernel", "operating system")
	c.arrow("", sys.x+sys.w/2, sys.y+sys.h, sys.x+sys.w/2, bottom+6)

	side := capi.y + capi.h/2
	c.arrow("back both", capi.x+capi.w, side, 930, side, 930, shm.y+shm.h/2, shm.x+shm.w, shm.y+shm.h/2)
	c.text(706, side-10, "start", "faint", "the same structures in C:")
	c.text(706, side+18, "start", "faint", "no call for most messages")
	c.text(26, sys.y+sys.h/2, "start", "faint", "core: pure Go,")
	c.text(26, sys.y+sys.h/2+lineStep, "start", "faint", "without cgo")
	for _, n := range []struct{ folder, knows, more string }{
		{"core/sockets/stream", "must not know descriptors'", "bytes, nor C"},
		{"core/sockets", "must not know routing ids,", "frames, nor C"},
		{"core", "must not know", "types of sockets"},
		{"core/engine", "must not know routing frames,", "option numbers, nor C"},
	} {
		r := at[n.folder]
		c.text(706, r.y+r.h/2, "start", "faint", n.knows)
		c.text(706, r.y+r.h/2+lineStep, "start", "faint", n.more)
	}
}
