// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"html/template"
	"image/color"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// A heat map has a row for a cell and a column for a stack; a field is its ratio to
// the limit, as a number and as a colour.
type heat struct {
	titles, stacks []string
	values         [][]spread // by row and column; an empty one has no values
}

func newHeat(rows []benchRow) heat {
	var h heat
	for _, b := range rows {
		ratio, ok := b.get("ratio_to_" + limit)
		if !ok || b.Stack == limit {
			continue
		}
		row, column := place(&h.titles, b.title()), place(&h.stacks, b.Stack)
		for len(h.values) <= row {
			h.values = append(h.values, nil)
		}
		for len(h.values[row]) <= column {
			h.values[row] = append(h.values[row], spread{})
		}
		h.values[row][column] = ratio
	}
	return h
}

// place is that of a name in a list, to which it is added.
func place(list *[]string, name string) int {
	if at := slices.Index(*list, name); at >= 0 {
		return at
	}
	*list = append(*list, name)
	return len(*list) - 1
}

// The colours go from far below the limit over half of it to as fast and faster.
var heatColours = []struct {
	ratio float64
	rgb   color.NRGBA
}{
	{0.3, color.NRGBA{0xf8, 0x71, 0x71, 0xff}},
	{0.7, color.NRGBA{0xfd, 0xe6, 0x8a, 0xff}},
	{0.9, color.NRGBA{0xbb, 0xe7, 0xb0, 0xff}},
	{1.1, color.NRGBA{0x4a, 0xb8, 0x75, 0xff}},
}

func heatColour(ratio float64) color.NRGBA {
	low := heatColours[0]
	for _, high := range heatColours {
		if ratio < high.ratio {
			if high.ratio == low.ratio {
				return low.rgb
			}
			share := (ratio - low.ratio) / (high.ratio - low.ratio)
			mix := func(a, b uint8) uint8 { return uint8(float64(a) + share*(float64(b)-float64(a)) + 0.5) }
			return color.NRGBA{mix(low.rgb.R, high.rgb.R), mix(low.rgb.G, high.rgb.G), mix(low.rgb.B, high.rgb.B), 0xff}
		}
		low = high
	}
	return low.rgb
}

const heatRowHeight = vg.Length(19)

// draw returns the map, and how many fields it has.
func (h heat) draw() (svg template.HTML, fields int) {
	p := newPlot("", "")
	var labels plotter.XYLabels
	last := len(h.titles) - 1
	for row, values := range h.values {
		for column, ratio := range values {
			if len(ratio.values) == 0 {
				continue
			}
			x, y := float64(column), float64(last-row)
			field := must(plotter.NewPolygon(plotter.XYs{{X: x - .5, Y: y - .5}, {X: x + .5, Y: y - .5}, {X: x + .5, Y: y + .5}, {X: x - .5, Y: y + .5}}))
			field.Color, field.LineStyle.Color, field.LineStyle.Width = heatColour(ratio.Median), color.White, 1.5
			p.Add(field)
			labels.XYs = append(labels.XYs, plotter.XY{X: x, Y: y})
			labels.Labels = append(labels.Labels, ratioText(ratio.Median))
			fields++
		}
	}
	if fields == 0 {
		return "", 0
	}
	texts := must(plotter.NewLabels(labels))
	for i := range texts.TextStyle {
		style := &texts.TextStyle[i]
		style.Font.Size, style.Color = textSize, inkColour
		style.XAlign, style.YAlign = text.XCenter, text.YCenter
	}
	p.Add(texts)
	p.NominalX(h.stacks...)
	titles := slices.Clone(h.titles)
	slices.Reverse(titles)
	p.NominalY(titles...)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(len(h.stacks))-0.5, -0.5, float64(last)+0.5
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle.Width, axis.Padding = 0, 0
	}
	p.Y.Padding = textSize * 2 // the reader's font may be wider
	return render(p, axisHeight+heatRowHeight*vg.Length(len(h.titles))), fields
}

// heatMap is the file of its own.
func heatMap(rows []benchRow, i info, s summary) string {
	svg, fields := newHeat(rows).draw()
	if fields == 0 {
		return ""
	}
	day, _, _ := strings.Cut(i.Started, " ")
	c := chart{Title: "Messages per second, as a share of the best bare loop's", SVG: svg}
	return c.framed(fmt.Sprintf("connections × bytes × in flight; check %s, commit %s, %s", s.checks(), i.Commit, day))
}
