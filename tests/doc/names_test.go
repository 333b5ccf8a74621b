// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	// sourceFile is a file of this project as a comment names it, with or without a folder.
	sourceFile   = regexp.MustCompile(`(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+\.(?:go|c|h|cpp|hpp|cs|pml|cmake|md|sh)\b`)
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
	for _, folder := range []string{"core", "capi", "cmake", "include", "bindings", "doc", "tests", "examples", "scripts", "tools"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			names[entry.Name()] = true
			switch filepath.Ext(path) {
			case ".go", ".c", ".h", ".cpp", ".hpp", ".pml", ".cmake", ".txt", ".cs":
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

// TestTroubleshootingHasTheWords: the sentences of doc/troubleshooting.md are in the library.
func TestTroubleshootingHasTheWords(t *testing.T) {
	said := regexp.MustCompile("(?m)^\\| E[A-Z, ]+ \\| `([^`]+)`")
	left := map[string]bool{}
	for _, m := range said.FindAllStringSubmatch(pages(t, "doc/troubleshooting.md")[0].text, -1) {
		left[m[1]] = true
	}
	if len(left) < 10 {
		t.Fatalf("only %d sentences found", len(left))
	}
	for _, sentence := range sentences(t) {
		for s := range left {
			if sentence.MatchString(s) {
				delete(left, s)
			}
		}
	}
	for s := range left {
		t.Errorf("doc/troubleshooting.md: the library does not say %q", s)
	}
}

// sentences are the formats of the core's errors, as patterns of what they say. One that
// ends with a bracket or a colon, or stands behind an option's name, is a part of a sentence.
func sentences(t *testing.T) (all []*regexp.Regexp) {
	verb, literal := regexp.MustCompile(`%[#.0-9]*[a-z]`), regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"`)
	files, _ := sourceFiles(t)
	for _, name := range files {
		if !strings.HasPrefix(name, "core/") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, quoted := range literal.FindAllString(read(t, filepath.Join(root, name)), -1) {
			words, err := strconv.Unquote(quoted)
			if err != nil || len(verb.ReplaceAllString(words, "")) < 10 {
				continue // it says too little of its own
			}
			pattern := verb.ReplaceAllString(regexp.QuoteMeta(words), ".+")
			if strings.HasSuffix(words, "(") || strings.HasSuffix(words, ": ") {
				pattern += ".*"
			}
			all = append(all, regexp.MustCompile(`^(?:socket option [A-Z_]+ )?`+pattern+`$`))
		}
	}
	return all
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
	version := strings.Join(parts, ".")
	text := pages(t, "doc/versions.md")[0].text
	for _, number := range []string{version, abi} {
		if !strings.Contains(text, "| "+number+" |") {
			t.Errorf("doc/versions.md does not tell %s", number)
		}
	}
	if readme := pages(t, "README.md")[0].text; !strings.Contains(readme, "what "+version+" and `.so."+abi+"` are") {
		t.Errorf("README.md does not tell %s and %s", version, abi)
	}
	report(t, filesWith(t, version, abi))
}

// filesWith returns what builds, tests and packages, and has one of the numbers itself. The
// symbols of the Debian package say since when each is there.
func filesWith(t *testing.T, numbers ...string) (bad []string) {
	places := []string{"build.sh", "CMakeLists.txt", "cmake", "scripts", "packaging", "tests", "tools", "bindings"}
	for _, place := range places {
		err := filepath.WalkDir(filepath.Join(root, place), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !regexp.MustCompile(`\.(sh|cmake|in|py|txt|json|control|cs|csproj|hpp)$`).MatchString(path) {
				return err
			}
			for i, line := range strings.Split(read(t, path), "\n") {
				for _, number := range numbers {
					if strings.Contains(line, number) && !strings.HasPrefix(line, "set(zlink_abi ") {
						bad = append(bad, fmt.Sprintf("%s:%d: %s stands in one place", path, i+1, number))
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return bad
}
