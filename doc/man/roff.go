// SPDX-License-Identifier: MPL-2.0

package main

import (
	"regexp"
	"strings"
)

var (
	linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	ticks    = regexp.MustCompile("`([^`]*)`")
	strong   = regexp.MustCompile(`\*\*([^*]*)\*\*`)
	emphasis = regexp.MustCompile(`\*([^*\s][^*]*)\*`)
	heading  = regexp.MustCompile(`^\*\*([A-Z][A-Za-z ]*)\*\*\.?`)
	item     = regexp.MustCompile(`^(?:-|\d+\.) `)
	unusual  = strings.NewReplacer("…", "...", "“", `"`, "”", `"`, "×", "x", "–", "-", "≥", ">=", "≤", "<=")
)

// plain is text without marks.
func plain(text string) string {
	text = linkText.ReplaceAllString(text, "$1")
	return strings.NewReplacer("`", "", "**", "").Replace(text)
}

func escape(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(unusual.Replace(text))
}

// inline turns the marks within a paragraph into roff.
func inline(text string) string {
	text = escape(strings.Join(strings.Fields(text), " "))
	text = linkText.ReplaceAllString(text, "$1")
	text = ticks.ReplaceAllStringFunc(text, func(s string) string { return `\fB` + s[1:len(s)-1] + `\fR` })
	text = strong.ReplaceAllString(text, `\fB$1\fR`)
	text = emphasis.ReplaceAllString(text, `\fI$1\fR`)
	return guard(text)
}

// guard keeps a line from being taken for a request.
func guard(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}

// code is text that keeps its lines.
func code(text string) string {
	var b strings.Builder
	b.WriteString(".nf\n")
	for line := range strings.Lines(text) {
		b.WriteString(guard(escape(line)))
	}
	b.WriteString(".fi\n")
	return b.String()
}

// roff turns a text in the documents' Markdown into roff.
func roff(text string) string {
	var b strings.Builder
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); {
		line := lines[i]
		end := i + 1
		switch {
		case strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "```"):
			for end < len(lines) && !strings.HasPrefix(lines[end], "```") {
				end++
			}
			b.WriteString(".PP\n.RS 4\n" + code(strings.Join(lines[i+1:end], "\n")+"\n") + ".RE\n")
			end++
		case strings.HasPrefix(line, "#"):
			b.WriteString(".SS " + inline(strings.TrimLeft(line, "# ")) + "\n")
		case strings.HasPrefix(line, "|"):
			for end < len(lines) && strings.HasPrefix(lines[end], "|") {
				end++
			}
			b.WriteString(table(lines[i:end]))
		default:
			end = paragraphEnd(lines, i)
			b.WriteString(paragraph(strings.Join(lines[i:end], " ")))
		}
		i = end
	}
	return b.String()
}

// paragraphEnd is where what begins at a line of text or a list's item ends.
func paragraphEnd(lines []string, i int) int {
	for i++; i < len(lines); i++ {
		line := lines[i]
		if strings.TrimSpace(line) == "" || item.MatchString(line) || strings.HasPrefix(line, "|") ||
			strings.HasPrefix(line, "```") || strings.HasPrefix(line, "#") || heading.MatchString(line) {
			break
		}
	}
	return i
}

// paragraph is a paragraph, or an item of a list. A word in bold at its beginning is a heading.
func paragraph(text string) string {
	if mark := item.FindString(text); mark != "" {
		if mark == "- " {
			mark = `\(bu `
		}
		return ".IP " + strings.TrimSpace(mark) + " 4\n" + inline(item.ReplaceAllString(text, "")) + "\n"
	}
	if m := heading.FindStringSubmatch(text); m != nil {
		rest := strings.TrimSpace(text[len(m[0]):])
		if rest == "" {
			return ".SS " + m[1] + "\n"
		}
		return ".SS " + m[1] + "\n" + inline(rest) + "\n"
	}
	return ".PP\n" + inline(text) + "\n"
}

// table is a list: the first cell of a row, and behind it the others, each after the head
// of its column if there are several.
func table(lines []string) string {
	var b strings.Builder
	head := cells(lines[0])
	for _, line := range lines[min(2, len(lines)):] {
		row := cells(line)
		var rest []string
		for i, cell := range row[1:] {
			if cell != "" && len(row) > 2 && i+1 < len(head) && head[i+1] != "" {
				cell = "*" + head[i+1] + "*: " + cell
			}
			if cell != "" {
				rest = append(rest, cell)
			}
		}
		first := row[0]
		if first == "" {
			first = "-"
		}
		b.WriteString(".TP\n" + inline(first) + "\n" + inline(strings.Join(rest, "; ")) + "\n")
	}
	return b.String() + ".PP\n"
}

// cells are those of a row; a | within a cell is written \|.
func cells(line string) []string {
	line = strings.ReplaceAll(strings.TrimSpace(line), `\|`, "\x00")
	all := strings.Split(strings.Trim(line, "|"), "|")
	for i := range all {
		all[i] = strings.TrimSpace(strings.ReplaceAll(all[i], "\x00", "|"))
	}
	return all
}
