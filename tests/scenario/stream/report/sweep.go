// SPDX-License-Identifier: MPL-2.0

package main

import (
	"slices"
	"strings"
)

// sweep is what s3 did with one parameter.
type sweep struct {
	name   string
	values []string
}

// sweeps takes the parameters and their values out of the labels, such as
// s3-io-threads-4.
func (s summary) sweeps() []sweep {
	var all []sweep
	for _, r := range s.results {
		name, value, ok := sweepOf(r.Label)
		if !ok {
			continue
		}
		i := slices.IndexFunc(all, func(w sweep) bool { return w.name == name })
		if i < 0 {
			all = append(all, sweep{name: name})
			i = len(all) - 1
		}
		if !slices.Contains(all[i].values, value) {
			all[i].values = append(all[i].values, value)
		}
	}
	return all
}

func (w sweep) has(label string) bool {
	name, _, ok := sweepOf(label)
	return ok && name == w.name
}

func sweepOf(label string) (name, value string, ok bool) {
	rest, ok := strings.CutPrefix(label, "s3-")
	i := strings.LastIndexByte(rest, '-')
	if !ok || i < 1 {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}

func (s summary) sweepCurves(w sweep, figure string, scale float64) (curves []line) {
	for _, stack := range s.stacks(w.has) {
		curve := line{stack: stack}
		known := false
		for _, value := range w.values {
			point := positive(s.find(stack, "s3-"+w.name+"-"+value), figure, scale)
			known = known || point != nil
			curve.values = append(curve.values, point)
		}
		if known {
			curves = append(curves, curve)
		}
	}
	return curves
}

// What the parameters of s3 are called on an axis.
var sweepTitles = map[string]string{
	"ccu": "connections", "size": "bytes of a message", "inflight": "messages in flight on a connection",
	"backlog": "listen backlog", "hwm": "high-water mark", "buffers": "socket buffers, bytes",
	"io-threads": "threads of the server", "connect-concurrency": "connections being opened at a time",
}

func (w sweep) axis() string {
	if title := sweepTitles[w.name]; title != "" {
		return title
	}
	return w.name
}

// constants says which settings all rows have in common whose label is one of
// those wanted: "100 connections, 30 in flight on each".
func (s summary) constants(want func(label string) bool) string {
	var texts []string
	for _, c := range []struct {
		of   func(*result) float64
		text string
	}{
		{func(r *result) float64 { return r.CCU }, "connections"},
		{func(r *result) float64 { return r.Size }, "bytes a message"},
		{func(r *result) float64 { return r.Inflight }, "in flight on each"},
	} {
		values := map[float64]bool{}
		for _, r := range s.results {
			if want(r.Label) && r.Passed > 0 {
				values[c.of(r)] = true
			}
		}
		for value := range values {
			if len(values) == 1 && value > 0 {
				texts = append(texts, grouped(value)+" "+c.text)
			}
		}
	}
	return strings.Join(texts, ", ")
}

// sweepFigure is something that a sweep shows over its values.
type sweepFigure struct {
	id, title, unit, name string
	scale                 float64
	linear                bool // the axis; otherwise it is logarithmic
}

var (
	rateFigure    = sweepFigure{"rate", "Echoed messages, thousands per second", "k msg/s", "rate", 1e-3, false}
	ratioFigure   = sweepFigure{"ratio", "Ratio to the limit", "", "ratio_to_" + limit, 1, true}
	bytesFigure   = sweepFigure{"bytes", "Echoed bodies, MB per second", "MB/s", "mb_per_s", 1, false}
	memoryFigure  = sweepFigure{"memory", "Peak resident memory of the server, MB", "MB", "server_rss_peak_kb", 1.0 / 1024, false}
	p50Figure     = sweepFigure{"p50", "Latency, p50, ms", "ms", "p50_us", 1e-3, false}
	p99Figure     = sweepFigure{"p99", "Latency, p99, ms", "ms", "p99_us", 1e-3, false}
	cpuFigure     = sweepFigure{"cpu", "CPU seconds for a million messages", "s", "server_cpu_s_per_million", 1, false}
	connectFigure = sweepFigure{"connect", "Time until all connections are open, ms", "ms", "connect_ms", 1, false}
)

func (w sweep) figures() []sweepFigure {
	switch w.name {
	case "ccu", "inflight":
		return []sweepFigure{rateFigure, ratioFigure, cpuFigure, memoryFigure, p99Figure, p50Figure}
	case "size":
		return []sweepFigure{rateFigure, ratioFigure, bytesFigure, cpuFigure, memoryFigure, p99Figure, p50Figure}
	case "backlog", "connect-concurrency":
		return []sweepFigure{rateFigure, ratioFigure, connectFigure}
	}
	return []sweepFigure{rateFigure, ratioFigure, p99Figure}
}

func (s summary) sweepGroup(w sweep) group {
	g := group{Title: "Scaling with " + w.axis(), Note: s.constants(w.has)}
	if g.Note != "" {
		g.Note = "s3: " + g.Note + "."
	}
	for _, f := range w.figures() {
		g.add(lines("s3-"+w.name+"-"+f.id, f.title, "", f.unit, w.axis(), w.values, !f.linear,
			s.sweepCurves(w, f.name, f.scale)))
	}
	return g
}
