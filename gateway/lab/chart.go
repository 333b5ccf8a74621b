// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// bar is one line of a chart of bars.
type bar struct {
	name   string
	value  float64
	colour string
}

const (
	ours   = "#1d4ed8"
	others = "#ea580c"
	bare   = "#6b7280"
)

// drawBars draws them below each other, from 0 on.
func drawBars(unit string, bars []bar) template.HTML {
	const height, left, width = 24, 250, 380
	most := 0.0
	for _, b := range bars {
		most = max(most, b.value)
	}
	if most == 0 {
		most = 1
	}
	var s strings.Builder
	fmt.Fprintf(&s, `<svg viewBox="0 0 %d %d" role="img">`, left+width+110, height*len(bars)+8)
	for i, b := range bars {
		y := i*height + 4
		fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+15, html.EscapeString(b.name))
		fmt.Fprintf(&s, `<rect x="%d" y="%d" width="%.1f" height="16" fill="%s"/>`, left, y+2, b.value/most*width, b.colour)
		fmt.Fprintf(&s, `<text x="%.1f" y="%d">%s %s</text>`, left+6+b.value/most*width, y+15, short(b.value), unit)
	}
	s.WriteString("</svg>")
	return template.HTML(s.String())
}

// mark is a moment in a run.
type mark struct {
	at   float64 // s
	name string
}

// drawTime draws a curve over the seconds of a run, and the marks under it.
func drawTime(values []float64, step float64, top float64, marks []mark) template.HTML {
	const width, height, left, below = 760, 220, 50, 130
	length := max(step, float64(len(values)-1)*step)
	x := func(at float64) float64 { return left + at/length*width }
	y := func(v float64) float64 { return height - v/max(top, 1)*(height-20) }
	var s strings.Builder
	fmt.Fprintf(&s, `<svg viewBox="0 0 %d %d" role="img">`, left+width+20, height+below)
	for _, v := range []float64{0, top / 2, top} {
		fmt.Fprintf(&s, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" class="grid"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			left, left+width, y(v), y(v), left-6, y(v)+4, short(v))
	}
	for _, m := range marks {
		fmt.Fprintf(&s, `<line x1="%.1f" x2="%.1f" y1="10" y2="%d" class="mark"/>`, x(m.at), x(m.at), height+8)
		fmt.Fprintf(&s, `<text transform="translate(%.1f %d) rotate(35)">%.0f s: %s</text>`, x(m.at), height+18, m.at, html.EscapeString(m.name))
	}
	s.WriteString(`<polyline class="curve" points="`)
	for i, v := range values {
		fmt.Fprintf(&s, "%.1f,%.1f ", x(float64(i)*step), y(v))
	}
	s.WriteString(`"/></svg>`)
	return template.HTML(s.String())
}

// short writes three digits, and thousands with commas.
func short(v float64) string {
	if v == 0 || math.Abs(v) >= 100 {
		text := fmt.Sprintf("%.0f", v)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	}
	return fmt.Sprintf("%.3g", v)
}
