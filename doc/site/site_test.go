// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// tree makes a folder with files.
func tree(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		if err := write(filepath.Join(dir, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestPages(t *testing.T) {
	Convey("What the navigation names is copied, and what that links to", t, func() {
		root := tree(t, map[string]string{
			"mkdocs.yml":           "nav:\n  - Start: README.md\n  - Use:\n      - doc/a.md\n",
			"README.md":            "[examples](more/), [licence](LICENSE), [web](https://example.com/x), [gone](gone.md)\n",
			"LICENSE":              "MPL\n",
			"doc/a.md":             "![picture](a.svg) [b](b.md#place)\n",
			"doc/a.svg":            "<svg/>",
			"doc/b.md":             "# B\n\n## Place\n",
			"doc/c.md":             "nobody leads here\n",
			"more/one.c":           "int main (void)\n",
			"more/sub/deeper.c":    "int deeper;\n",
			"listed/README.md":     "not linked\n",
			"more/sub/not/this.md": "no\n",
		})
		out := t.TempDir()
		So(pages(root, out), ShouldBeNil)
		for _, name := range []string{"README.md", "LICENSE", "doc/a.md", "doc/a.svg", "doc/b.md", "more/one.c"} {
			_, err := os.Stat(filepath.Join(out, name))
			So(err, ShouldBeNil)
		}
		for _, name := range []string{"doc/c.md", "gone.md", "more/sub", "listed"} {
			_, err := os.Stat(filepath.Join(out, name))
			So(os.IsNotExist(err), ShouldBeTrue)
		}
		Convey("A folder without a page gets one that lists its files", func() {
			So(read(out, "more/README.md"), ShouldEqual, "# more\n\n- [one.c](one.c)\n")
		})
	})
	Convey("A navigation without pages is an error", t, func() {
		root := tree(t, map[string]string{"mkdocs.yml": "nav:\n"})
		So(pages(root, t.TempDir()) != nil, ShouldBeTrue)
	})
}

func TestDialect(t *testing.T) {
	Convey("Words for the tests are not part of a language", t, func() {
		So(dialect("```c top\nint x;\n- no list\n```\n```h\n```\n"), ShouldEqual,
			"```c\nint x;\n- no list\n```\n```c\n```\n")
	})
	Convey("A list below its sentence is one, and stays together", t, func() {
		So(dialect("Text:\n- one\n  goes on\n- two\n1. three\n"), ShouldEqual, "Text:\n\n- one\n  goes on\n- two\n1. three\n")
	})
	Convey("Remarks end a paragraph", t, func() {
		So(dialect("text\n<!-- end -->\ntext\n"), ShouldEqual, "text\n\ntext\n")
	})
}

func TestTerminal(t *testing.T) {
	Convey("Bold and inverse letters are, others are plain, and all is text", t, func() {
		body, _ := strings.CutPrefix(terminal("a<b \x1b[1mbold\x1b[0m \x1b[7mthe end\x1b[m\x1b[31mred"), terminalHead)
		So(body, ShouldEqual, `a&lt;b <span class="b">bold</span> <span class="i">the end</span>red</pre>`+"\n")
	})
}

func TestCheck(t *testing.T) {
	site := tree(t, map[string]string{
		"index.html": `<a href="doc/a.html#place">, <a href="#top">, <h1 id="top">, <img src="gone.png">,
			<a href="https://example.com/?a=1&amp;b=2">, <a href="mailto:a@b">, <a href="doc/">, <a href="sub">`,
		"doc/a.html":   `<h2 id="place">, <a href="../index.html#bottom">, <a href="a.html?x=1#%ed%95%9c">, <h3 id="한">`,
		"sub/page.txt": "a folder without an index",
		"404.html":     `<a href="/from/the/top">`,
		"doc/raw.c":    "int x;",
	})
	Convey("Dead links are told, and those that lead elsewhere", t, func() {
		dead, outward, err := check(site)
		So(err, ShouldBeNil)
		So(outward, ShouldResemble, []string{"https://example.com/?a=1&b=2"})
		So(len(dead), ShouldEqual, 4)
		for _, link := range []string{"index.html: gone.png", "index.html: doc/", "index.html: sub", "doc/a.html: ../index.html#bottom"} {
			So(dead, ShouldContain, site+"/"+link)
		}
		So(tell(dead, outward, err) != nil, ShouldBeTrue)
		So(tell(nil, outward, nil), ShouldBeNil)
	})
	Convey("A folder without pages is an error", t, func() {
		_, _, err := check(t.TempDir())
		So(err, ShouldNotBeNil)
	})
}
