// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// importers are who may talk to the system, by the import. Tests may as well: they
// look past this package at what the kernel has.
var importers = map[string][]string{
	"golang.org/x/sys/unix": {"core/sys"},
	"syscall":               {"core/sys", "core/errno"},
}

// sources returns the Go files of core and capi, without tests, by their path.
func sources(t *testing.T) map[string]*ast.File {
	files := map[string]*ast.File{}
	root := filepath.Join("..", "..")
	for _, folder := range []string{"core", "capi"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			name, _ := filepath.Rel(root, path)
			files[filepath.ToSlash(name)] = file
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// allowed reports whether a folder's files may import a package.
func allowed(path, folder string) bool {
	who, restricted := importers[path]
	if restricted {
		return slices.Contains(who, folder)
	}
	return !strings.HasPrefix(path, "golang.org/x/sys/")
}

func imports(file *ast.File) (paths []string) {
	for _, spec := range file.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

func TestOnlyThisPackageTalksToTheSystem(t *testing.T) {
	Convey("Nobody else imports what the system offers", t, func() {
		files := sources(t)
		So(len(files), ShouldBeGreaterThan, 50)
		var bad []string
		for name, file := range files {
			for _, path := range imports(file) {
				if !allowed(path, filepath.Dir(name)) {
					bad = append(bad, name+" imports "+path)
				}
			}
		}
		So(bad, ShouldBeEmpty)
	})
	Convey("Here, files that do belong to one system by their name", t, func() {
		for name, file := range sources(t) {
			if filepath.Dir(name) == "core/sys" && slices.Contains(imports(file), "golang.org/x/sys/unix") {
				So(name, ShouldEndWith, "_linux.go")
			}
		}
	})
}

// calls returns how often a function of package unix is called in a body.
func calls(body ast.Node, prefix string) (n int) {
	ast.Inspect(body, func(node ast.Node) bool {
		if call, ok := node.(*ast.SelectorExpr); ok {
			if x, ok := call.X.(*ast.Ident); ok && x.Name == "unix" && strings.HasPrefix(call.Sel.Name, prefix) {
				n++
			}
		}
		return true
	})
	return n
}

func TestPromptCallsSayNothingToTheScheduler(t *testing.T) {
	Convey("A prompt call is raw, and one that waits is not", t, func() {
		prompt, waiting, bad := 0, 0, []string(nil)
		for name, file := range sources(t) {
			if filepath.Dir(name) != "core/sys" {
				continue
			}
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				wrong := 0
				switch doc := strings.TrimSpace(f.Doc.Text()); {
				case strings.HasSuffix(doc, "Prompt."):
					prompt++
					wrong = calls(f.Body, "Syscall")
				case strings.HasSuffix(doc, "Waits."), strings.Contains(doc, " Waits: "):
					waiting++
					wrong = calls(f.Body, "RawSyscall")
				}
				if wrong > 0 {
					bad = append(bad, f.Name.Name)
				}
			}
		}
		So(bad, ShouldBeEmpty)
		So(prompt, ShouldBeGreaterThanOrEqualTo, 12)
		So(waiting, ShouldBeGreaterThanOrEqualTo, 3)
	})
}
