// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"html"
	"strings"
)

// canvas is a picture that grows. What is put on it is also kept as areas, so that a
// test can see whether anything covers something else.
type canvas struct {
	width, height int
	title         string
	body          strings.Builder

	boxes []area
	texts []area
	lines []segment
}

// area is a rectangle and what it is.
type area struct {
	x, y, w, h int
	what       string
}

// segment is a part of an arrow.
type segment struct{ x1, y1, x2, y2 int }

// The sizes of text, in pixels.
const (
	titleSize = 15
	textSize  = 13
	lineStep  = 17
)

func (c *canvas) add(format string, args ...any) { fmt.Fprintf(&c.body, format+"\n", args...) }

// band is a coloured background of a class; boxes and text lie on it.
func (c *canvas) band(x, y, w, h int, class string) {
	c.add(`<rect x="%d" y="%d" width="%d" height="%d" rx="8" class="band %s"/>`, x, y, w, h, class)
}

// box is a rectangle of a class with a title and lines of text in its middle.
func (c *canvas) box(x, y, w, h int, class, title string, lines ...string) area {
	c.add(`<rect x="%d" y="%d" width="%d" height="%d" rx="6" class="box %s"/>`, x, y, w, h, class)
	at := area{x, y, w, h, title}
	c.boxes = append(c.boxes, at)
	top := y + h/2 - (len(lines)*lineStep)/2 + 5
	c.text(x+w/2, top, "middle", "title", title)
	for i, line := range lines {
		c.text(x+w/2, top+(i+1)*lineStep, "middle", "small", line)
	}
	return at
}

// text is one line of a class; anchor is start, middle or end.
func (c *canvas) text(x, y int, anchor, class, text string) {
	size := textSize
	if strings.Contains(class, "title") {
		size = titleSize
	}
	w := textWidth(text, size, strings.Contains(class, "title"))
	left := x
	switch anchor {
	case "middle":
		left -= w / 2
	case "end":
		left -= w
	}
	c.texts = append(c.texts, area{left, y - size + 2, w, size, text})
	c.add(`<text x="%d" y="%d" text-anchor="%s" class="%s">%s</text>`, x, y, anchor, class, html.EscapeString(text))
}

// arrow leads through points, x and y in turn, to the last one.
func (c *canvas) arrow(class string, points ...int) {
	path := fmt.Sprintf("M%d %d", points[0], points[1])
	for i := 2; i < len(points); i += 2 {
		path += fmt.Sprintf("L%d %d", points[i], points[i+1])
		c.lines = append(c.lines, segment{points[i-2], points[i-1], points[i], points[i+1]})
	}
	start := ""
	if strings.Contains(class, "both") {
		start = ` marker-start="url(#tip)"`
	}
	c.add(`<path d="%s" class="arrow %s"%s marker-end="url(#tip)"/>`, path, class, start)
}

// point is a place in the picture.
type point struct{ x, y int }

// onTop is the middle of an area's upper edge.
func (a area) onTop() point { return point{a.x + a.w/2, a.y} }

// steps puts numbers on places, from 1 on.
func (c *canvas) steps(at ...point) {
	for i, p := range at {
		c.add(`<circle cx="%d" cy="%d" r="10" class="step"/>`, p.x, p.y)
		c.add(`<text x="%d" y="%d" text-anchor="middle" class="number">%d</text>`, p.x, p.y+5, i+1)
	}
}

// textWidth is how wide a text is at the most in the fonts that the pictures ask for.
func textWidth(text string, size int, bold bool) int {
	thousandths := 0
	for _, r := range text {
		switch {
		case strings.ContainsRune("iljft.,:;'|!()[]/ ", r):
			thousandths += 310
		case strings.ContainsRune("mwMW@%", r):
			thousandths += 880
		case r >= 'A' && r <= 'Z':
			thousandths += 710
		default:
			thousandths += 570
		}
	}
	if bold {
		thousandths += thousandths / 6
	}
	return thousandths*size/1000 + 1
}

// svg is the whole picture. Its colours follow the reader's light or dark scheme, also
// where a page shows it as an image.
func (c *canvas) svg() string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">
<title>%s</title>
<style>%s</style>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" class="tip"/></marker></defs>
<rect x="0.5" y="0.5" width="%d" height="%d" rx="10" class="page"/>
%s</svg>
`, c.width, c.height, c.width, c.height, html.EscapeString(c.title), style, c.width-1, c.height-1, c.body.String())
}

const style = `
text { font: 13px Helvetica, Arial, "Liberation Sans", sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: bold; }
.small { font-size: 13px; }
.faint { font-size: 13px; fill: #57606a; }
.page { fill: #ffffff; stroke: #d0d7de; }
.box { stroke-width: 1.5; fill: #ffffff; }
.app { stroke: #0969da; } .band.app { fill: #eaf4ff; }
.shared { stroke: #9a6700; } .band.shared { fill: #fff8dc; }
.driver { stroke: #1a7f37; } .band.driver { fill: #e6f7ea; }
.kernel { stroke: #57606a; } .band.kernel { fill: #eff2f5; }
.maybe { stroke-dasharray: 5 4; }
.arrow { fill: none; stroke: #1f2328; stroke-width: 1.5; }
.back { stroke-dasharray: 5 4; }
.tip { fill: #1f2328; }
.step { fill: #1f2328; }
.number { font-weight: bold; fill: #ffffff; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.faint { fill: #9ba5b0; }
.page { fill: #0d1117; stroke: #30363d; }
.box { fill: #161b22; }
.app { stroke: #58a6ff; } .band.app { fill: #10243d; }
.shared { stroke: #d29922; } .band.shared { fill: #2b2208; }
.driver { stroke: #3fb950; } .band.driver { fill: #0f2a18; }
.kernel { stroke: #9ba5b0; } .band.kernel { fill: #1f252c; }
.arrow { stroke: #e6edf3; }
.tip, .step { fill: #e6edf3; }
.number { fill: #0d1117; }
}
`
