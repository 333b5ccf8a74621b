// SPDX-License-Identifier: MPL-2.0

package main

import (
	"html"
	"regexp"
	"strings"
)

// rendition is what tmux writes for letters that are not plain: 1 bold, 7 inverse, others as plain ones.
var rendition = regexp.MustCompile("\x1b\\[([0-9;]*)m")

const terminalHead = `<!DOCTYPE html>
<meta charset="utf-8">
<style>
body { margin: 12px 16px; background: #1c1f26; color: #d8dee9; font: 15px/20px "DejaVu Sans Mono", monospace; }
pre { margin: 0; font: inherit; }
.b { font-weight: bold; color: #ffffff; }
.i { background: #d8dee9; color: #1c1f26; }
</style>
<pre>`

// terminal is a page that shows what a terminal does, as tmux capture-pane -e writes it.
func terminal(text string) string {
	var out strings.Builder
	out.WriteString(terminalHead)
	open := false
	plain := func() {
		if open {
			out.WriteString("</span>")
		}
		open = false
	}
	last := 0
	for _, m := range rendition.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(html.EscapeString(text[last:m[0]]))
		last = m[1]
		plain()
		switch text[m[2]:m[3]] {
		case "1":
			out.WriteString(`<span class="b">`)
			open = true
		case "7":
			out.WriteString(`<span class="i">`)
			open = true
		}
	}
	out.WriteString(html.EscapeString(text[last:]))
	plain()
	out.WriteString("</pre>\n")
	return out.String()
}
