// SPDX-License-Identifier: MPL-2.0

package main

import (
	"html/template"
	"slices"
)

// chart is a figure of the page.
type chart struct {
	ID     string
	Title  string
	Note   string
	Legend []key
	Marks  int // bars and points that must be seen
	SVG    template.HTML
}

// key is a line of a chart's legend.
type key struct {
	Name   string
	Colour template.CSS
}

// A stack has the same colour everywhere: zlink's own are blue and green, the
// limit is grey.
var colours = map[string]string{
	"zlink": "#1d4ed8", "zlink-fast": "#0891b2", "zlink-batch": "#059669", "zlink-go": "#65a30d",
	"zlink-zlink": "#7dd3fc", "zlink-cpp": "#2dd4bf", "zlink-py": "#a3e635", "zlink-node": "#facc15", "zlink-java": "#f472b6",
	"asio": "#ea580c", "cppserver": "#be123c", "dotnet": "#9333ea",
	"net-zlink": "#c084fc", "gonet": "#ca8a04", limit: "#6b7280",
	"connections": "#1d4ed8", "servers": "#1d4ed8", "clients": "#059669", "kernel": "#6b7280", "p50": "#059669", "p99": "#1d4ed8", "read": "#1d4ed8",
	"publish": "#1d4ed8", "sends": "#0891b2", "bare": "#6b7280", "bare2": "#a3a3a3", "uws": "#ea580c",
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
	svg, marks := drawBars(unit, lines)
	return chart{ID: id, Title: title, Note: note, Marks: marks, SVG: svg}, true
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
	c := chart{ID: id, Title: title, Note: note}
	for _, curve := range curves {
		c.Legend = append(c.Legend, key{curve.stack, template.CSS(colour(curve.stack))})
	}
	if len(x) < 2 {
		return chart{}, false
	}
	c.SVG, c.Marks = drawLines(unit, xName, x, logarithmic, curves)
	return c, c.Marks > 0
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
	all = append(all, s.transportGroup(), s.casts.castGroup())
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
