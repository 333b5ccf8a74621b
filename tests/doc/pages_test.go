// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the top of the source tree.
const root = "../.."

// page is a Markdown file.
type page struct {
	name   string // its path from root
	text   string
	blocks []block
}

// block is a fenced code block.
type block struct {
	section string // the nearest heading above it
	info    string // what follows the fence's backquotes
	line    int    // of the first line of text
	text    string
}

// pages reads the files that match one of the patterns, paths from root.
func pages(t *testing.T, patterns ...string) (all []page) {
	t.Helper()
	for _, pattern := range patterns {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("no page matches %s", pattern)
		}
		for _, name := range names {
			text := read(t, name)
			name, _ = filepath.Rel(root, name)
			all = append(all, page{name, text, blocks(text)})
		}
	}
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func blocks(text string) (all []block) {
	section, open := "", false
	for i, line := range strings.Split(text, "\n") {
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && !open:
			all = append(all, block{section: section, info: line[3:], line: i + 2})
			open = true
		case fence:
			open = false
		case open:
			all[len(all)-1].text += line + "\n"
		case strings.HasPrefix(line, "#"):
			section = strings.TrimLeft(line, "# ")
		}
	}
	return all
}

// at is the place of a block for a message.
func (b block) at(p page) string { return fmt.Sprintf("%s:%d", p.name, b.line) }

// report fails the test with a line for each complaint.
func report(t *testing.T, complaints []string) {
	t.Helper()
	for _, c := range complaints {
		t.Error(c)
	}
}
