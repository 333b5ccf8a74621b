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
	var transports []string
	for _, r := range s.results {
		if name, ok := transportOf(r.Label); ok && r.Passed > 0 && !slices.Contains(transports, name) {
			transports = append(transports, name)
		}
	}
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
