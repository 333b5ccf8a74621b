// SPDX-License-Identifier: MPL-2.0

// Man makes manual pages of the documents: one of section 3 for each section of doc/api that
// declares functions, with a page for each further function that leads there; zlink(7) of
// doc/api/README.md; and one of section 1 for each program of doc/tools.md.
//
//	go run ./doc/man DIR
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: man DIR, from the top of the source tree")
		os.Exit(2)
	}
	pages, err := makePages(".")
	if err == nil {
		err = write(os.Args[1], pages)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

// write stores pages, by name, below dir/man1 and so on, and removes what else is there.
func write(dir string, pages map[string]string) error {
	for name, text := range pages {
		file := filepath.Join(dir, "man"+name[len(name)-1:], name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	old, err := filepath.Glob(filepath.Join(dir, "man?", "*"))
	for _, file := range old {
		if _, ok := pages[filepath.Base(file)]; !ok && err == nil {
			err = os.Remove(file)
		}
	}
	return err
}

// makePages returns the pages by their names, such as zlink_poll.3.
func makePages(root string) (map[string]string, error) {
	header, err := os.ReadFile(filepath.Join(root, "include/zlink.h"))
	if err != nil {
		return nil, err
	}
	pages := map[string]string{}
	files, err := filepath.Glob(filepath.Join(root, "doc/api/*.md"))
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, filepath.Join(root, "doc/tools.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m := manual{version: version(string(header)), file: filepath.Base(file), pages: pages}
		for _, s := range sections(string(text)) {
			m.add(s)
		}
	}
	return pages, nil
}

func version(header string) string {
	var parts []string
	for _, m := range regexp.MustCompile(`(?m)^#define ZLINK_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$`).FindAllStringSubmatch(header, -1) {
		parts = append(parts, m[1])
	}
	return strings.Join(parts, ".")
}

// section is what follows a heading of the first or second level.
type section struct{ title, text string }

func sections(text string) (all []section) {
	fenced := false
	for line := range strings.Lines(text) {
		fenced = fenced != strings.HasPrefix(line, "```")
		if title, ok := strings.CutPrefix(strings.TrimPrefix(line, "#"), "# "); ok && !fenced || strings.HasPrefix(line, "# ") && !fenced {
			all = append(all, section{title: strings.TrimSpace(strings.TrimLeft(title, "# "))})
			continue
		}
		if len(all) > 0 {
			all[len(all)-1].text += line
		}
	}
	return all
}

// manual makes the pages of one document.
type manual struct {
	version, file string
	pages         map[string]string
}

var (
	declared  = regexp.MustCompile("(?ms)^```h\n(.*?)^```\n")
	function  = regexp.MustCompile(`(?m)^[a-z][^\n{};]*?\b(zlink_\w+) ?\(`)
	inlineDef = regexp.MustCompile(`^\(?\*?zlink_\w+_fn`)
)

// add makes the page of a section, if it has one.
func (m manual) add(s section) {
	switch {
	case m.file == "README.md" && s.title == "Conventions":
		m.pages["zlink.7"] = m.page("zlink", "7", []string{"zlink"}, "one socket, thousands of raw stream clients",
			"#include <zlink.h>\n\ncc program.c $(pkg-config --cflags --libs zlink)\n", s.text)
	case m.file == "tools.md" && strings.HasPrefix(s.title, "zlink-"):
		what, rest, _ := strings.Cut(strings.TrimSpace(s.text), "\n\n")
		_, rest, _ = strings.Cut(rest, "```\n")
		usage, rest, _ := strings.Cut(rest, "```\n")
		m.pages[s.title+".1"] = m.page(s.title, "1", []string{s.title}, summary(what), usage, what+"\n\n"+rest)
	default:
		m.addFunctions(s)
	}
}

func (m manual) addFunctions(s section) {
	var names []string
	declarations := ""
	for _, block := range declared.FindAllStringSubmatch(s.text, -1) {
		declarations += block[1]
		for _, f := range function.FindAllStringSubmatch(block[1], -1) {
			if !strings.HasPrefix(f[0], "typedef") && !inlineDef.MatchString(f[1]) && !slices.Contains(names, f[1]) {
				names = append(names, f[1])
			}
		}
	}
	if len(names) == 0 || m.pages[names[0]+".3"] != "" {
		return
	}
	text := declared.ReplaceAllString(s.text, "")
	m.pages[names[0]+".3"] = m.page(names[0], "3", names, summary(text), "#include <zlink.h>\n\n"+declarations, text)
	for _, other := range names[1:] {
		m.pages[other+".3"] = ".so man3/" + names[0] + ".3\n"
	}
}

// page puts a page together.
func (m manual) page(name, number string, names []string, what, synopsis, text string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s %s \"\" \"zlink %s\" \"zlink\"\n", strings.ToUpper(name), number, m.version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", strings.Join(names, ", "), escape(what))
	b.WriteString(".SH SYNOPSIS\n" + code(synopsis) + ".SH DESCRIPTION\n")
	b.WriteString(roff(text))
	if name != "zlink" {
		b.WriteString(".SH SEE ALSO\n.BR zlink (7)\n")
	}
	return b.String()
}

// summary is the first clause of a text, without the name that it begins with.
func summary(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
	first = plain(strings.Join(strings.Fields(first), " "))
	first = regexp.MustCompile(`^zlink_\w+ `).ReplaceAllString(first, "")
	first = strings.TrimRight(regexp.MustCompile(`[.:;(]( |$)`).Split(first, 2)[0], " ")
	if runes := []rune(first); len(runes) > 70 {
		first = string(runes[:70])
		first = first[:strings.LastIndex(first, " ")] + " ..."
	}
	return strings.ToLower(first[:1]) + first[1:]
}
