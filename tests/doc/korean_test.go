// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// translation begins a page in Korean: the English page that it was made from, and
	// what that was then.
	translation = regexp.MustCompile(`^<!-- of (\S+) ([0-9a-f]{12}) -->\n`)
	// measured is what a program writes into a page; translations do not have it.
	measured = regexp.MustCompile(`(?s)<!-- numbers .*?<!-- end -->`)
)

// TestKoreanPagesKeepStep: the code of a translation is that of its page, and so are its
// headings and tables, unless the page has changed since. Then the test does not fail, but
// says so: not everybody who changes a page writes Korean.
func TestKoreanPagesKeepStep(t *testing.T) {
	for _, ko := range pages(t, "*.ko.md", "doc/ko/*.md") {
		m := translation.FindStringSubmatch(ko.text)
		if m == nil || !exists(m[1]) {
			t.Errorf("%s: its first line does not say of which page it is", ko.name)
			continue
		}
		en := pages(t, m[1])[0]
		differ, stale := compare(en, ko, m[2])
		report(t, differ)
		if stale {
			fmt.Printf("not run here: %s: %s has changed since it was translated; translate that, and write %s into the first line\n",
				ko.name, en.name, state(en))
		}
	}
	for _, name := range []string{"README.ko.md", "which.md", "getting-started.md", "modes.md", "migration.md", "deploy.md"} {
		if !exists(name) && !exists(filepath.Join("doc/ko", name)) {
			t.Errorf("no %s in Korean", name)
		}
	}
}

// state is what a page says, as 12 digits.
func state(en page) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(measured.ReplaceAllString(en.text, ""))))[:12]
}

// compare says in what ko differs from the page that it translates, whose state it says is
// that of then.
func compare(en, ko page, then string) (differ []string, stale bool) {
	stale = then != state(en)
	left := en.blocks
	for _, b := range ko.blocks {
		same := slices.IndexFunc(left, func(e block) bool { return e.info == b.info && e.text == b.text })
		if same < 0 {
			differ = append(differ, fmt.Sprintf("%s: no such code in %s, or not in this order", b.at(ko), en.name))
			continue
		}
		left = left[same+1:]
	}
	if stale {
		return differ, stale
	}
	if len(ko.blocks) != len(en.blocks) {
		differ = append(differ, fmt.Sprintf("%s: %d blocks of code, and not %d", ko.name, len(ko.blocks), len(en.blocks)))
	}
	if ours, theirs := outline(ko), outline(en); ours != theirs {
		differ = append(differ, fmt.Sprintf("%s: headings and rows of tables are\n%s\nand not\n%s", ko.name, ours, theirs))
	}
	return differ, stale
}

// outline has the level of each heading, and how many rows the tables below it have.
func outline(p page) string {
	var all []string
	rows, inBlock := 0, false
	for line := range strings.Lines(measured.ReplaceAllString(p.text, "")) {
		switch {
		case strings.HasPrefix(line, "```"):
			inBlock = !inBlock
		case inBlock:
		case strings.HasPrefix(line, "#"):
			all = append(all, fmt.Sprint(rows), line[:strings.IndexByte(line, ' ')])
			rows = 0
		case strings.HasPrefix(line, "|"):
			rows++
		}
	}
	return strings.Join(append(all, fmt.Sprint(rows)), " ")
}

func TestTranslationsAreCompared(t *testing.T) {
	from := func(text string) page { return page{name: "a.md", text: text, blocks: blocks(text)} }
	en := from("# A\n\n<!-- numbers x -->\n| 1 |\n<!-- end -->\n```c\nint a;\n```\n## B\n| x |\n```c\nint b;\n```\n")
	now := state(en)
	if now != state(from(strings.Replace(en.text, "| 1 |", "| 2 |", 1))) {
		t.Error("a page is another one after a measurement")
	}
	for _, c := range []struct {
		name, old, now, then string
		faults               int
		stale                bool
	}{
		{"the same", "A", "가", now, 0, false},
		{"other code", "int a", "int c", now, 1, false},
		{"less code", "```c\nint a;\n```\n", "", now, 1, false},
		{"a heading of another level", "## B", "### B", now, 1, false},
		{"a row less", "| x |\n", "", now, 1, false},
		{"a page that has changed", "## B", "### B", "000000000000", 0, true},
		{"one whose code has changed", "int a", "int c", "000000000000", 1, true},
	} {
		differ, stale := compare(en, from(strings.Replace(en.text, c.old, c.now, 1)), c.then)
		if len(differ) != c.faults || stale != c.stale {
			t.Errorf("%s: %v, %q", c.name, stale, differ)
		}
	}
}
