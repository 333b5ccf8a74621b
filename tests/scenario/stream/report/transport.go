// SPDX-License-Identifier: MPL-2.0

package main

import (
	"slices"
	"strings"
)

// transportGroup compares the transports of s4 that ran; one alone compares
// with nothing.
func (s summary) transportGroup() group {
	g := group{Title: "Transports"}
	transports := s.transports()
	for _, scenario := range []string{"s0", "s1", "s2"} {
		var curves []line
		for _, stack := range s.stacks(func(label string) bool { _, ok := transportOf(label); return ok }) {
			curve := line{stack: stack}
			for _, name := range transports {
				curve.values = append(curve.values, positive(s.find(stack, "s4-"+name+"-"+scenario), "rate", 1e-3))
			}
			curves = append(curves, curve)
		}
		title := map[string]string{"s0": "Round trips", "s1": "Connections opened", "s2": "Echoed messages"}[scenario]
		g.add(lines("s4-"+scenario, title+", thousands per second ("+scenario+")", "", "k/s", "transport",
			transports, true, curves))
	}
	return g
}

func transportOf(label string) (string, bool) {
	rest, ok := strings.CutPrefix(label, "s4-")
	name, _, cut := strings.Cut(rest, "-")
	return name, ok && cut
}

// transports are those of s4 of which a row passed, in the order of the runs.
func (s summary) transports() (names []string) {
	for _, r := range s.results {
		if name, ok := transportOf(r.Label); ok && r.Passed > 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// transportTable has a row for every stack and transport of s4 that passed s2.
func (s summary) transportTable() string {
	t := markdownTable{header: []string{"stack", "transport", "messages/s", "of its tcp", "CPU s for 10⁶ messages",
		"memory idle, MB", "peak, MB", "all open after, ms", "p50 alone", "p99 alone", "p99 beside silent clients"}}
	for _, stack := range s.stacks(func(label string) bool { _, ok := transportOf(label); return ok }) {
		tcp, _ := s.find(stack, "s4-tcp-s2").get("rate")
		for _, name := range s.transports() {
			at := func(what string) *result { return s.find(stack, "s4-"+name+"-"+what) }
			rate, ok := at("s2").get("rate")
			if !ok {
				continue
			}
			ratio := "–"
			if tcp.Median > 0 {
				ratio = ratioText(rate.Median / tcp.Median)
			}
			t.rows = append(t.rows, []string{stack, name, rateColumn.cell(at("s2")), ratio, cpuColumn.cell(at("s2")),
				idleColumn.cell(at("s2")), peakColumn.cell(at("s2")), cell(at("s1"), "connect_ms", grouped),
				p50Column.cell(at("s0")), p99Column.cell(at("s0")), p99Column.cell(at("silent"))})
		}
	}
	return t.String()
}
