// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// sizes are those of all systems that the library supports: they are alike.
var sizes = types.SizesFor("gc", "amd64")

// source is a package, with everything that it has marked.
type source struct {
	dir     string // in the module
	fset    *token.FileSet
	pkg     *types.Package
	info    *types.Info
	structs []*mirror
	consts  []*constants
}

// mirror is a struct that has a name in C.
type mirror struct {
	cName  string
	doc    *ast.CommentGroup
	spec   *ast.TypeSpec
	named  *types.Named
	fields []*field
}

// constants is a group of constants with their prefix in C.
type constants struct {
	prefix string
	doc    *ast.CommentGroup
	specs  []*ast.ValueSpec
}

// elsewhere imports the packages that layouts may refer to. Any other package appears to be
// empty, so a struct or constant that refers to one is refused when it is printed.
type elsewhere struct{ std types.Importer }

func (e elsewhere) Import(name string) (*types.Package, error) {
	if name == "sync/atomic" || name == "unsafe" {
		return e.std.Import(name)
	}
	p := types.NewPackage(name, path.Base(name))
	p.MarkComplete()
	return p, nil
}

// load reads the package in a folder of the module.
func load(root, dir string) (*source, error) {
	s := &source{dir: dir, fset: token.NewFileSet()}
	context := build.Default
	context.GOOS, context.GOARCH = "linux", "amd64"
	found, err := context.ImportDir(filepath.Join(root, dir), 0)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, name := range found.GoFiles {
		f, err := parser.ParseFile(s.fset, filepath.Join(root, dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	config := types.Config{
		IgnoreFuncBodies: true,
		Sizes:            sizes,
		Importer:         elsewhere{importer.ForCompiler(s.fset, "source", nil)},
		Error:            func(error) {}, // of what is imported from elsewhere
	}
	s.info = &types.Info{Defs: map[*ast.Ident]types.Object{}}
	s.pkg, _ = config.Check(module+dir, s.fset, files, s.info)
	for _, f := range files {
		for _, d := range f.Decls {
			if err := s.collect(d); err != nil {
				return nil, err
			}
		}
	}
	return s, s.measure()
}

// collect keeps the marked parts of a declaration.
func (s *source) collect(d ast.Decl) error {
	decl, ok := d.(*ast.GenDecl)
	if !ok {
		return nil
	}
	if prefix := marked(decl.Doc, "//capi:const "); prefix != "" {
		c := &constants{prefix: prefix, doc: decl.Doc}
		for _, spec := range decl.Specs {
			c.specs = append(c.specs, spec.(*ast.ValueSpec))
		}
		s.consts = append(s.consts, c)
	}
	for _, spec := range decl.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		doc := t.Doc
		if doc == nil {
			doc = decl.Doc
		}
		name := marked(doc, "//capi:struct ")
		if name == "" {
			continue
		}
		named, ok := s.info.Defs[t.Name].Type().(*types.Named)
		if _, isStruct := t.Type.(*ast.StructType); !ok || !isStruct {
			return fmt.Errorf("%s is no struct", t.Name)
		}
		s.structs = append(s.structs, &mirror{cName: name, doc: doc, spec: t, named: named})
	}
	return nil
}

// marked returns the text behind the mark in a comment, or "".
func marked(doc *ast.CommentGroup, mark string) string {
	if doc != nil {
		for _, line := range doc.List {
			if name, ok := strings.CutPrefix(line.Text, mark); ok {
				return strings.TrimSpace(name)
			}
		}
	}
	return ""
}

// of returns the marked struct that t is, or nil.
func (s *source) of(t types.Type) *mirror {
	i := slices.IndexFunc(s.structs, func(m *mirror) bool { return types.Identical(m.named, t) })
	if i < 0 {
		return nil
	}
	return s.structs[i]
}
