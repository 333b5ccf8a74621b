// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func pagesOfTree(t *testing.T) map[string]string {
	t.Helper()
	pages, err := makePages("../..")
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

func TestEveryFunctionHasAPage(t *testing.T) {
	pages := pagesOfTree(t)
	header, err := os.ReadFile("../../include/zlink.h")
	if err != nil {
		t.Fatal(err)
	}
	declaration := regexp.MustCompile(`(?ms)^ZLINK_EXPORT\s+[^;]*?\b(zlink_\w+)\s*\([^;]*\);`)
	for _, m := range declaration.FindAllStringSubmatch(string(header), -1) {
		text := pages[m[1]+".3"]
		if other, ok := strings.CutPrefix(text, ".so man3/"); ok {
			text = pages[strings.TrimSpace(other)]
		}
		name := regexp.MustCompile(`(?m)^\.SH NAME\n.*\b` + m[1] + `\b.* \\- \S`)
		if !name.MatchString(text) || !strings.Contains(text, m[1]+" (") {
			t.Errorf("no page names and declares %s", m[1])
		}
	}
	for _, name := range []string{"zlink.7", "zlink-cat.1", "zlink-top.1"} {
		if pages[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
}

// Nothing of Markdown is left, and groff, where it is there, objects to nothing.
func TestPagesAreManualPages(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Log("not run here: man: groff is not here to format the manual pages")
	}
	all := ""
	for name, text := range pagesOfTree(t) {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "|") || strings.HasPrefix(line, "```") || strings.Contains(line, "](") {
				t.Errorf("%s: left of Markdown: %s", name, line)
			}
		}
		if !strings.HasPrefix(text, ".so") {
			all += ".lf 1 " + name + "\n" + text
		}
	}
	if groff == "" {
		return
	}
	command := exec.Command(groff, "-man", "-Kutf8", "-Tutf8", "-ww", "-z")
	command.Stdin = strings.NewReader(all)
	if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v %s", err, out)
	}
}

func TestMarksBecomeRoff(t *testing.T) {
	for text, want := range map[string]string{
		"a `b-c` **d** *e* [f](g.md#h)":             ".PP\na \\fBb\\-c\\fR \\fBd\\fR \\fIe\\fR f\n",
		"**Returns** 0 or -1.":                      ".SS Returns\n0 or \\-1.\n",
		"- one\n  more\n- two":                      ".IP \\(bu 4\none more\n.IP \\(bu 4\ntwo\n",
		"```c\n.a\n'b\\n\n```":                      ".PP\n.RS 4\n.nf\n\\&.a\n\\&'b\\en\n.fi\n.RE\n",
		"| a | b |\n|---|---|\n| c | d |":           ".TP\nc\nd\n.PP\n",
		"| a | b | c |\n|---|---|---|\n| x | y | z": ".TP\nx\n\\fIb\\fR: y; \\fIc\\fR: z\n.PP\n",
		"one\n\n\ntwo":                              ".PP\none\n.PP\ntwo\n",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}

func TestOldPagesGo(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir, map[string]string{"a.3": "x", "b.1": "y"}); err != nil {
		t.Fatal(err)
	}
	if err := write(dir, map[string]string{"a.3": "z"}); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*/*"))
	if text, _ := os.ReadFile(filepath.Join(dir, "man3/a.3")); len(left) != 1 || string(text) != "z" {
		t.Errorf("left: %v, with %q", left, text)
	}
}
