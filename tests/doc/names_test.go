// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// sourceFile is a file of this project as a comment names it, with or without a folder.
	sourceFile   = regexp.MustCompile(`(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+\.(?:go|c|h|cs|pml|cmake|md|sh)\b`)
	commentStart = regexp.MustCompile(`^\s*(?://|/?\*|#[^a-z])|//\s`)
	// notOurs are headers of the system, what a build makes, and endings of names.
	notOurs = regexp.MustCompile(`^(?:linux|sys|netinet)/|^names\.h$|^_\w+\.go$`)
)

// TestCommentsNameFiles: a file that a comment names is there. One without a folder may
// be anywhere in the tree.
func TestCommentsNameFiles(t *testing.T) {
	var bad []string
	files, names := sourceFiles(t)
	for _, name := range files {
		for i, line := range strings.Split(read(t, filepath.Join(root, name)), "\n") {
			at := commentStart.FindStringIndex(line)
			if at == nil || strings.Contains(line, "#include") {
				continue
			}
			for _, m := range sourceFile.FindAllString(line[at[0]:], -1) {
				if !names[m] && !exists(m) && !exists(filepath.Join(filepath.Dir(name), m)) && !notOurs.MatchString(m) {
					bad = append(bad, fmt.Sprintf("%s:%d: no file %s", name, i+1, m))
				}
			}
		}
	}
	report(t, bad)
}

// sourceFiles returns the sources of the library and its tests, and the names of all
// files without their folders.
func sourceFiles(t *testing.T) (files []string, names map[string]bool) {
	names = map[string]bool{}
	for _, folder := range []string{"core", "capi", "cmake", "include", "bindings", "doc", "tests", "examples", "scripts"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			names[entry.Name()] = true
			switch filepath.Ext(path) {
			case ".go", ".c", ".h", ".pml", ".cmake", ".txt", ".cs":
				name, _ := filepath.Rel(root, path)
				files = append(files, filepath.ToSlash(name))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files, names
}

// TestVersionsStandOnce: pages tell the versions that the header and the build have.
func TestVersionsStandOnce(t *testing.T) {
	api := regexp.MustCompile(`(?m)^#define ZLINK_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$`)
	var parts []string
	for _, m := range api.FindAllStringSubmatch(read(t, filepath.Join(root, "include/zlink.h")), -1) {
		parts = append(parts, m[1])
	}
	abi := regexp.MustCompile(`(?m)^set\(zlink_abi (.*)\)$`).
		FindStringSubmatch(read(t, filepath.Join(root, "cmake/ZlinkLibrary.cmake")))[1]
	text := pages(t, "doc/versions.md")[0].text
	for _, version := range []string{strings.Join(parts, "."), abi} {
		if !strings.Contains(text, "| "+version+" |") {
			t.Errorf("doc/versions.md does not tell %s", version)
		}
	}
}
