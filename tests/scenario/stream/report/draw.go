// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"html/template"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The charts are drawn by gonum/plot, as SVG that is part of the page. Its unit
// is the point; a chart is scaled to the width that it gets.
const (
	chartWidth  = vg.Length(480)
	linesHeight = vg.Length(260)
	barHeight   = vg.Length(24)
	barWidth    = vg.Length(16)
	axisHeight  = vg.Length(36)
	textSize    = vg.Length(10)
)

var (
	inkColour  = color.NRGBA{0x37, 0x41, 0x51, 0xff}
	gridColour = color.NRGBA{0xe5, 0xe7, 0xeb, 0xff}
	dotColour  = color.NRGBA{0x11, 0x18, 0x27, 0x8c}
)

func init() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

// paint turns #rrggbb into a colour.
func paint(hex string) color.Color {
	rgb, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 24)
	if err != nil {
		panic(err) // the colours are our own
	}
	return color.NRGBA{uint8(rgb >> 16), uint8(rgb >> 8), uint8(rgb), 0xff}
}

// must stops at what only a mistake in this program can cause.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newPlot(xName, yName string) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = xName, yName
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(ticks), plot.TickerFunc(ticks)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Size = textSize
		axis.Label.TextStyle.Color = inkColour
		axis.Tick.Label.Font.Size = textSize
		axis.Tick.Label.Color = inkColour
		axis.LineStyle.Color = gridColour
		axis.Tick.LineStyle.Color = gridColour
	}
	return p
}

func grid(vertical, horizontal bool) *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical.Color, g.Horizontal.Color = nil, nil
	if vertical {
		g.Vertical.Color = gridColour
	}
	if horizontal {
		g.Horizontal.Color = gridColour
	}
	return g
}

// drawBars draws the first line at the top. It returns how many bars and dots
// there are.
func drawBars(unit string, lines []bar) (svg template.HTML, marks int) {
	p := newPlot(unit, "")
	p.Add(grid(true, false))
	names := make([]string, len(lines))
	dots := plotter.XYs{}
	for i, line := range lines {
		place := len(lines) - 1 - i
		// The figure stands next to the name, where no bar or dot can cover it.
		names[place] = line.name + "  " + shortText(line.values.Median)
		b := must(plotter.NewBarChart(plotter.Values{line.values.Median}, barWidth))
		b.Horizontal, b.XMin, b.Color, b.LineStyle.Width = true, float64(place), paint(colour(line.name)), 0
		p.Add(b)
		if len(line.values.values) > 1 {
			for _, value := range line.values.values {
				dots = append(dots, plotter.XY{X: value, Y: float64(place)})
			}
		}
	}
	if len(dots) > 0 {
		p.Add(roundDots(dots, dotColour, 1.8))
	}
	p.X.Min = 0
	if p.X.Max <= 0 {
		p.X.Max = 1 // all of them are 0
	}
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.6, float64(len(lines))-0.4
	return render(p, axisHeight+barHeight*vg.Length(len(lines))), len(lines) + len(dots)
}

func roundDots(at plotter.XYs, c color.Color, radius vg.Length) *plotter.Scatter {
	s := must(plotter.NewScatter(at))
	s.GlyphStyle = draw.GlyphStyle{Color: c, Radius: radius, Shape: draw.CircleGlyph{}}
	return s
}

// drawLines draws a curve for every stack; it goes straight on over a value that
// is not known.
func drawLines(unit, xName string, x []string, logarithmic bool, curves []line) (svg template.HTML, marks int) {
	p := newPlot(xName, unit)
	p.Add(grid(false, true))
	for _, curve := range curves {
		at := curve.points()
		if len(at) == 0 {
			continue
		}
		l := must(plotter.NewLine(at))
		l.Color, l.Width = paint(colour(curve.stack)), 1.5
		p.Add(l, roundDots(at, l.Color, 2.5))
		marks += len(at)
	}
	if marks == 0 {
		return "", 0
	}
	p.NominalX(x...)
	p.X.Min, p.X.Max = -0.3, float64(len(x))-0.7
	if logarithmic {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
		p.Y.Min, p.Y.Max = decades(p.Y.Min, p.Y.Max)
	} else {
		p.Y.Min = min(p.Y.Min, 0)
	}
	return render(p, linesHeight), marks
}

func (l line) points() plotter.XYs {
	var at plotter.XYs
	for i, value := range l.values {
		if y, ok := value.(float64); ok {
			at = append(at, plotter.XY{X: float64(i), Y: y})
		}
	}
	return at
}

// decades are the powers of ten around a range.
func decades(low, high float64) (below, above float64) {
	below = math.Pow(10, math.Floor(math.Log10(low)))
	above = math.Pow(10, math.Ceil(math.Log10(high)))
	if above <= below {
		above = below * 10
	}
	return below, above
}

// render leaves out what a file of its own would begin with.
func render(p *plot.Plot, height vg.Length) template.HTML {
	p.BackgroundColor = color.Transparent
	canvas := vgsvg.New(chartWidth, height)
	// Labels stand out, and the reader's font may be wider than the one reckoned with.
	p.Draw(draw.Crop(draw.New(canvas), textSize/2, -textSize, 0, -textSize/2))
	var out bytes.Buffer
	must(canvas.WriteTo(&out))
	text := out.String()
	text = text[strings.Index(text, "<svg"):]
	end := strings.IndexByte(text, '>')
	return template.HTML(strings.ReplaceAll(text[:end], `pt"`, `"`) + text[end:])
}

func ticks(low, high float64) []plot.Tick    { return short(plot.DefaultTicks{}.Ticks(low, high)) }
func logTicks(low, high float64) []plot.Tick { return short(plot.LogTicks{}.Ticks(low, high)) }

// short writes each number as short as it can be.
func short(all []plot.Tick) []plot.Tick {
	for i := range all {
		if all[i].Label != "" {
			all[i].Label = shortText(all[i].Value)
		}
	}
	return all
}
