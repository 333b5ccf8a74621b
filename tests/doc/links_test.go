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
	// What a heading has and its place in links has not.
	notInPlaces = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

func TestLinksLeadToFiles(t *testing.T) {
	var bad []string
	for _, p := range linkedPages(t) {
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

// A link to a heading needs one; its place is made from its words as GitHub does, and
// doc/site as well.
func TestLinksLeadToHeadings(t *testing.T) {
	all := map[string]map[string]bool{}
	for _, p := range linkedPages(t) {
		all[p.name] = places(p)
	}
	var bad []string
	for _, p := range linkedPages(t) {
		for _, m := range link.FindAllStringSubmatch(p.text, -1) {
			target, place, found := strings.Cut(m[1], "#")
			name := p.name
			if target != "" {
				name = filepath.Join(filepath.Dir(p.name), target)
			}
			if found && all[name] != nil && !all[name][place] {
				bad = append(bad, fmt.Sprintf("%s: no heading %s", p.name, m[1]))
			}
		}
	}
	report(t, bad)
}

func linkedPages(t *testing.T) []page {
	return pages(t, "*.md", "doc/*.md", "doc/*/*.md", "examples/*.md", "gateway/*.md", "gateway/examples/*.md", "bindings/*/*.md", "tests/scenario/stream/README.md")
}

// places are what the headings of a page are called in links.
func places(p page) map[string]bool {
	all, inBlock := map[string]bool{}, false
	for line := range strings.Lines(p.text) {
		if strings.HasPrefix(line, "```") {
			inBlock = !inBlock
		}
		if !inBlock && strings.HasPrefix(line, "#") {
			words := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
			all[strings.ReplaceAll(notInPlaces.ReplaceAllString(words, ""), " ", "-")] = true
		}
	}
	return all
}

// mkdocs.yml has a place for each page of doc/, and no other ones.
func TestSiteHasEveryPage(t *testing.T) {
	config := read(t, filepath.Join(root, "mkdocs.yml"))
	var bad []string
	for _, p := range pages(t, "*.md", "doc/*.md", "doc/*/*.md") {
		if !regexp.MustCompile(`(?m)^ *- (?:.+: )?` + regexp.QuoteMeta(p.name) + `$`).MatchString(config) {
			bad = append(bad, "mkdocs.yml: its nav lacks "+p.name)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^ *- (?:.+: )?(\S+\.md)$`).FindAllStringSubmatch(config, -1) {
		if !exists(m[1]) {
			bad = append(bad, "mkdocs.yml: no file "+m[1])
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

// What doc/deploy.md shows of other programs' files is what examples/test_deploy.sh tries.
func TestDeployShowsTheTestedFiles(t *testing.T) {
	shown := map[string]string{
		"haproxy": "haproxy.cfg", "nginx": "nginx.conf", "systemd": "zlink-service.service", "yaml": "kubernetes.yaml",
	}
	page := pages(t, "doc/deploy.md")[0]
	for _, b := range page.blocks {
		if shown[b.info] != "" && b.text != read(t, filepath.Join(root, "examples/deploy", shown[b.info])) {
			t.Errorf("%s: not examples/deploy/%s", b.at(page), shown[b.info])
		}
		delete(shown, b.info)
	}
	for _, name := range shown {
		t.Errorf("%s does not show examples/deploy/%s", page.name, name)
	}
}

func words(text string) string { return strings.Join(strings.Fields(text), " ") }
