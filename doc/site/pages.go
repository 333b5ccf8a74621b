// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	// navigation is a page in mkdocs.yml, "- Title: doc/modes.md", or what all pages have.
	navigation = regexp.MustCompile(`(?m)^ *- (?:.+: )?(\S+\.(?:md|css))$`)
	// inlineLink is the target of a link or of a picture.
	inlineLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	listItem   = regexp.MustCompile(`^(?:[-*]|\d+\.) `)
	remark     = regexp.MustCompile(`^<!--.*-->$`)
)

// pages copies the pages that mkdocs.yml names from the tree at root into out, and
// everything that they link to. Paths stay as they are, so that links need no change.
func pages(root, out string) error {
	config, err := os.ReadFile(filepath.Join(root, "mkdocs.yml"))
	if err != nil {
		return err
	}
	var wanted []string
	for _, m := range navigation.FindAllStringSubmatch(string(config), -1) {
		wanted = append(wanted, m[1])
	}
	if len(wanted) == 0 {
		return fmt.Errorf("mkdocs.yml names no pages")
	}
	for i := 0; i < len(wanted); i++ { // it grows
		links, err := publish(root, out, wanted[i])
		if err != nil {
			return err
		}
		for _, link := range links {
			if !slices.Contains(wanted, link) {
				wanted = append(wanted, link)
			}
		}
	}
	return nil
}

// publish copies one file, and returns the files of the tree that it links to. What a
// page links to and is not there, mkdocs reports.
func publish(root, out, name string) (links []string, err error) {
	from, to := filepath.Join(root, name), filepath.Join(out, name)
	info, err := os.Stat(from)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return folder(from, to, name)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(name) == ".md" {
		links = linked(string(text), filepath.Dir(name))
		text = []byte(dialect(string(text)))
	}
	return links, write(to, text)
}

func write(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

// folder makes a page that lists a folder's files, unless the folder has one of its own.
func folder(from, to, name string) (links []string, err error) {
	readme := filepath.Join(name, "README.md")
	if _, err := os.Stat(filepath.Join(from, "README.md")); err == nil {
		return []string{readme}, nil
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil, err
	}
	text := "# " + filepath.Base(name) + "\n\n"
	for _, entry := range entries {
		if !entry.IsDir() {
			text += fmt.Sprintf("- [%s](%s)\n", entry.Name(), entry.Name())
			links = append(links, filepath.Join(name, entry.Name()))
		}
	}
	return links, write(filepath.Join(to, "README.md"), []byte(text))
}

// linked returns the paths that a page in the folder dir links to.
func linked(text, dir string) (all []string) {
	for _, m := range inlineLink.FindAllStringSubmatch(text, -1) {
		target, _, _ := strings.Cut(m[1], "#")
		if target == "" || strings.Contains(target, ":") {
			continue
		}
		all = append(all, filepath.Join(dir, target))
	}
	return all
}

// dialect turns what GitHub reads otherwise than mkdocs does: the words behind the
// language of a block, which are for the tests; a list directly below its sentence; and
// remarks, which end no paragraph there.
func dialect(text string) string {
	var out strings.Builder
	inBlock, last := false, ""
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		language, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !inBlock:
			line = "```" + highlighted(language)
			inBlock = true
		case isFence:
			inBlock = false
		case inBlock:
		case remark.MatchString(line):
			line = ""
		case listItem.MatchString(line) && last != "" && last[0] != ' ' && !listItem.MatchString(last):
			out.WriteByte('\n')
		}
		out.WriteString(line + "\n")
		last = line
	}
	return out.String()
}

// highlighted is the language of a block in the words of mkdocs.
func highlighted(info string) string {
	language, _, _ := strings.Cut(info, " ")
	if language == "h" {
		return "c"
	}
	return language
}
