// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// What a page names in backquotes with a folder and a suffix is a file.
	file = regexp.MustCompile("`((?:core|capi|tests|include|examples|cmake|doc)/[A-Za-z0-9_/.-]+\\.[a-z]+)`")
)

func TestLinksLeadToFiles(t *testing.T) {
	var bad []string
	for _, p := range pages(t, "*.md", "doc/*.md", "doc/api/*.md", "tests/scenario/stream/README.md") {
		for _, m := range link.FindAllStringSubmatch(p.text, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target != "" && !strings.HasPrefix(target, "http") &&
				!exists(filepath.Join(filepath.Dir(p.name), target)) {
				bad = append(bad, fmt.Sprintf("%s: no file %s", p.name, m[1]))
			}
		}
		for _, m := range file.FindAllStringSubmatch(p.text, -1) {
			if !exists(m[1]) {
				bad = append(bad, fmt.Sprintf("%s: no file %s", p.name, m[1]))
			}
		}
	}
	report(t, bad)
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

func TestReadmeShowsTheTestedServer(t *testing.T) {
	readme := pages(t, "README.md")[0]
	example := read(t, filepath.Join(root, "examples/echo_server.c"))
	for _, b := range readme.blocks {
		if b.info == "c" {
			if !strings.HasSuffix(example, b.text) {
				t.Errorf("%s: not the end of examples/echo_server.c", b.at(readme))
			}
			return
		}
	}
	t.Error("README.md shows no server")
}

// What doc/go.md shows is in the package's examples, which run.
func TestGoPageShowsTheExamples(t *testing.T) {
	page := pages(t, "doc/go.md")[0]
	examples := words(read(t, filepath.Join(root, "core/sockets/stream/example_test.go")))
	for _, b := range page.blocks {
		_, text, isProgram := strings.Cut(b.text, "func main() {")
		if !isProgram {
			text = b.text
		}
		text = strings.TrimSuffix(words(text), " }") // what follows it there is the output
		if b.info != "go" || !strings.Contains(examples, text) {
			t.Errorf("%s: not in example_test.go", b.at(page))
		}
	}
}

func words(text string) string { return strings.Join(strings.Fields(text), " ") }
