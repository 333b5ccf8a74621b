// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"html/template"
	"slices"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
)

// chart is a figure of the page.
type chart struct {
	ID     string
	Title  string
	Note   string
	Height int // pixels
	Marks  int // bars, points and lines that must be seen
	Option template.JS
}

// A stack has the same colour everywhere: zlink's own are blue and green, the
// limit is grey.
var colours = map[string]string{
	"zlink": "#1d4ed8", "zlink-fast": "#0891b2", "zlink-batch": "#059669", "zlink-go": "#65a30d",
	"zlink-zlink": "#7dd3fc", "asio": "#ea580c", "cppserver": "#be123c", "dotnet": "#9333ea",
	"net-zlink": "#c084fc", "gonet": "#ca8a04", limit: "#6b7280",
}

var otherColours = []string{"#db2777", "#78350f", "#0f766e", "#4338ca", "#a3a3a3"}

func colour(stack string) string {
	if c, ok := colours[stack]; ok {
		return c
	}
	sum := 0
	for _, b := range []byte(stack) {
		sum += int(b)
	}
	return otherColours[sum%len(otherColours)]
}

const (
	inkColour  = "#374151"
	gridColour = "#e5e7eb"
	dotColour  = "#111827"
)

type chartOption interface {
	Validate()
	JSON() map[string]any
}

func optionOf(c chartOption) template.JS {
	c.Validate()
	// Marshal writes <, > and & as escapes, so the text is safe in a script.
	text, err := json.Marshal(c.JSON())
	if err != nil {
		panic(err) // a number that JSON has no form for
	}
	return template.JS(text)
}

func axisLabel() *opts.AxisLabel {
	return &opts.AxisLabel{Show: opts.Bool(true), Color: inkColour, FontSize: 12, HideOverlap: opts.Bool(true)}
}

func splitLine() *opts.SplitLine {
	return &opts.SplitLine{Show: opts.Bool(true), LineStyle: &opts.LineStyle{Color: gridColour}}
}

// bar is one line of a bar chart: a label and what it was in every round.
type bar struct {
	name   string
	values spread
}

// bars draws the medians as horizontal bars, and a dot for every round.
func bars(id, title, note, unit string, lines []bar) (chart, bool) {
	if len(lines) == 0 {
		return chart{}, false
	}
	var names []string
	var medians []opts.BarData
	var dots []opts.ScatterData
	for _, line := range lines {
		// The figure stands next to the name, where no bar or dot can cover it.
		name := line.name + "  " + shortText(line.values.Median)
		names = append(names, name)
		medians = append(medians, opts.BarData{
			Name: name, Value: significant(line.values.Median),
			ItemStyle: &opts.ItemStyle{Color: colour(line.name), BorderRadius: "3"},
		})
		if len(line.values.values) > 1 {
			for _, value := range line.values.values {
				dots = append(dots, opts.ScatterData{
					Value: []any{significant(value), name}, Symbol: "circle", SymbolSize: 5,
				})
			}
		}
	}
	c := charts.NewBar()
	c.SetGlobalOptions(
		charts.WithAnimation(false),
		charts.WithLegendOpts(opts.Legend{Show: opts.Bool(false)}),
		charts.WithGridOpts(opts.Grid{Left: "4", Right: "20", Top: "4", Bottom: "20", ContainLabel: opts.Bool(true)}),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "item"}),
		charts.WithXAxisOpts(opts.XAxis{
			Type: "value", Name: unit, NameLocation: "middle", NameGap: 24,
			AxisLabel: axisLabel(), SplitLine: splitLine(), SplitNumber: 4,
		}),
		charts.WithYAxisOpts(opts.YAxis{Type: "category", Inverse: opts.Bool(true), AxisLabel: axisLabel()}),
	)
	c.SetXAxis(names).XYReversal()
	c.AddSeries("median", medians,
		charts.WithBarChartOpts(opts.BarChart{BarCategoryGap: "30%"}))
	s := charts.NewScatter()
	s.AddSeries("rounds", dots, charts.WithItemStyleOpts(opts.ItemStyle{Color: dotColour, Opacity: opts.Float(0.55)}))
	c.Overlap(s)
	return chart{id, title, note, 60 + 30*len(lines), len(medians) + len(dots), optionOf(c)}, true
}

// barsOf draws a figure of every stack in one scenario.
func (s summary) barsOf(label, figure string, scale float64) []bar {
	var lines []bar
	for _, r := range s.results {
		if r.Label != label {
			continue
		}
		if values, ok := r.get(figure); ok {
			lines = append(lines, bar{r.Stack, values.times(scale)})
		}
	}
	return lines
}

func (s spread) times(scale float64) spread {
	values := make([]float64, len(s.values))
	for i, value := range s.values {
		values[i] = value * scale
	}
	return spread{s.Median * scale, s.Min * scale, s.Max * scale, values}
}

// line is a stack's curve; a value that is not known is nil.
type line struct {
	stack  string
	values []any
}

// lines draws a curve for every stack over the same places on the x axis.
func lines(id, title, note, unit, xName string, x []string, logarithmic bool, curves []line) (chart, bool) {
	if len(curves) == 0 || len(x) < 2 {
		return chart{}, false
	}
	yType := "value"
	if logarithmic {
		yType = "log"
	}
	c := charts.NewLine()
	c.SetGlobalOptions(
		charts.WithAnimation(false),
		charts.WithLegendOpts(opts.Legend{
			Show: opts.Bool(true), Type: "plain", Top: "0", Left: "center", ItemWidth: 16, ItemHeight: 8,
			TextStyle: &opts.TextStyle{Color: inkColour, FontSize: 12},
		}),
		charts.WithGridOpts(opts.Grid{Left: "8", Right: "16", Top: "72", Bottom: "24", ContainLabel: opts.Bool(true)}),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "axis"}),
		charts.WithXAxisOpts(opts.XAxis{
			Type: "category", Name: xName, NameLocation: "middle", NameGap: 28, AxisLabel: axisLabel(),
		}),
		charts.WithYAxisOpts(opts.YAxis{
			Type: yType, Name: unit, NameLocation: "end", AxisLabel: axisLabel(), SplitLine: splitLine(),
		}),
	)
	c.SetXAxis(x)
	marks := 0
	for _, curve := range curves {
		var data []opts.LineData
		for _, value := range curve.values {
			if value == nil {
				value = "-"
			} else {
				marks++
			}
			data = append(data, opts.LineData{Value: value, Symbol: "circle", SymbolSize: 6})
		}
		c.AddSeries(curve.stack, data,
			charts.WithLineChartOpts(opts.LineChart{ShowSymbol: opts.Bool(true), ConnectNulls: opts.Bool(true)}),
			charts.WithLineStyleOpts(opts.LineStyle{Color: colour(curve.stack), Width: 2}),
			charts.WithItemStyleOpts(opts.ItemStyle{Color: colour(curve.stack)}))
	}
	if marks == 0 {
		return chart{}, false
	}
	return chart{id, title, note, 340, marks, optionOf(c)}, true
}

var percentiles = []struct{ name, figure string }{
	{"p50", "p50_us"}, {"p75", "p75_us"}, {"p90", "p90_us"}, {"p95", "p95_us"},
	{"p99", "p99_us"}, {"p99.9", "p999_us"}, {"p99.99", "p9999_us"}, {"max", "max_us"},
}

// latencyCurves draws the percentiles of every stack in a scenario, in ms.
func (s summary) latencyCurves(label string) (names []string, curves []line) {
	for _, p := range percentiles {
		names = append(names, p.name)
	}
	for _, r := range s.results {
		if r.Label != label || r.Passed == 0 {
			continue
		}
		curve := line{stack: r.Stack}
		for _, p := range percentiles {
			curve.values = append(curve.values, positive(r, p.figure, 1e-3))
		}
		curves = append(curves, curve)
	}
	return names, curves
}

// positive is the median of a figure, or nil: an axis with a logarithmic scale
// has no place for 0.
func positive(r *result, figure string, scale float64) any {
	if s, ok := r.get(figure); ok && s.Median > 0 {
		return significant(s.Median * scale)
	}
	return nil
}

// group is a section of the page.
type group struct {
	Title  string
	Note   string
	Charts []chart
}

func (g *group) add(c chart, ok bool) {
	if ok {
		g.Charts = append(g.Charts, c)
	}
}

func groupsOf(s summary) []group {
	all := []group{s.throughputGroup(), s.latencyGroup(), s.costGroup(), s.connectGroup()}
	for _, w := range s.sweeps() {
		all = append(all, s.sweepGroup(w))
	}
	all = append(all, s.transportGroup())
	return slices.DeleteFunc(all, func(g group) bool { return len(g.Charts) == 0 })
}

func throughputChart(s summary) (chart, bool) {
	return bars("s2-rate", "Echoed messages, thousands per second",
		"Bars are medians, dots the single rounds.", "", s.barsOf("s2", "rate", 1e-3))
}

func (s summary) throughputGroup() group {
	g := group{Title: "Throughput",
		Note: "s2: all connections busy. Ratios compare within a round, as the machine's speed drifts."}
	g.add(throughputChart(s))
	for _, reference := range references {
		title := "Ratio to " + reference
		if reference == limit {
			title = "Ratio to the limit, a bare " + limit + " echo"
		}
		g.add(bars("s2-to-"+reference, title, "1 is as fast.", "", s.barsOf("s2", "ratio_to_"+reference, 1)))
	}
	return g
}

func (s summary) latencyGroup() group {
	g := group{Title: "Latency", Note: "Medians of the rounds, from the write of a message to the read of its echo."}
	x, curves := s.latencyCurves("s0")
	g.add(lines("s0-latency", "Round trip of one message (s0), ms", "", "ms", "", x, true, curves))
	x, curves = s.latencyCurves("s2")
	g.add(lines("s2-latency", "Under full load (s2), ms", "Full windows: this is mostly waiting in queues.",
		"ms", "", x, true, curves))
	return g
}

func (s summary) costGroup() group {
	g := group{Title: "What the server costs", Note: "In s2."}
	g.add(bars("s2-memory", "Peak resident memory, MB", "", "", s.barsOf("s2", "server_rss_peak_kb", 1.0/1024)))
	g.add(bars("s2-idle", "Resident memory with all connections open and silent, MB", "", "",
		s.barsOf("s2", "server_rss_idle_kb", 1.0/1024)))
	g.add(bars("s2-cpu", "CPU seconds for a million messages", "", "", s.barsOf("s2", "server_cpu_s_per_million", 1)))
	g.add(bars("s2-switches", "Context switches for 1,000 messages", "Of the server's threads.", "",
		s.barsOf("s2", "switches_per_thousand", 1)))
	g.add(bars("syscalls", "System calls for a message", "From a run of its own, with perf or strace.", "",
		s.barsOf(syscallsLabel, "syscalls_per_message", 1)))
	return g
}

func (s summary) connectGroup() group {
	g := group{Title: "Opening connections"}
	g.add(bars("s1-rate", "Connections opened, thousands per second (s1)", "", "", s.barsOf("s1", "rate", 1e-3)))
	g.add(bars("s1-time", "Time until all are open, ms (s1)", "", "", s.barsOf("s1", "connect_ms", 1)))
	return g
}
