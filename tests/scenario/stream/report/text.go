// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"io"
	"strconv"
)

// writeText prints the results as a table for a terminal.
func writeText(out io.Writer, s summary) {
	const line = "%-22s %-12s %12s %-14s %6s %13s %9s %9s %9s %9s  %s\n"
	unit := map[string]string{"s0": "round trips/s", "s1": "connections/s", "s2": "messages/s"}
	fmt.Fprintf(out, line, "scenario", "stack", "rate", "", "ratio", "lowest-high", "p50", "p99",
		"idle MB", "busy MB", "verdict")
	for _, r := range s.results {
		verdict := r.Verdict
		if len(r.Reasons) > 0 {
			verdict += ": " + r.reason()
		}
		if calls, ok := r.get("syscalls_per_message"); ok {
			fmt.Fprintf(out, "%-22s %-12s %12s %s\n", r.Label, r.Stack, threeDigits(calls.Median), "system calls/message")
			continue
		}
		ratio, ok := r.get("ratio_to_" + limit)
		lowHigh := "-"
		if ok {
			lowHigh = fmt.Sprintf("%.2f-%.2f", ratio.Min, ratio.Max)
		}
		fmt.Fprintf(out, line, r.Label, r.Stack, cell(r, "rate", grouped), unit[r.Scenario],
			cell(r, "ratio_to_"+limit, ratioText), lowHigh,
			cell(r, "p50_us", latencyText), cell(r, "p99_us", latencyText),
			cell(r, "server_rss_idle_kb", megabytes), cell(r, "server_rss_kb", megabytes), verdict)
	}
	fmt.Fprintf(out, "check: %s\n", s.checks())
}

// cell is the median of a figure, or a dash.
func cell(r *result, name string, format func(float64) string) string {
	s, ok := r.get(name)
	if !ok {
		return "–"
	}
	return format(s.Median)
}

func ratioText(x float64) string  { return fmt.Sprintf("%.2f", x) }
func megabytes(kb float64) string { return fmt.Sprintf("%.1f", kb/1024) }
func threeDigits(x float64) string {
	return strconv.FormatFloat(significant(x), 'f', -1, 64)
}

// significant keeps three digits, and all of those before the point.
func significant(x float64) float64 {
	if x >= 100 {
		x, _ = strconv.ParseFloat(fmt.Sprintf("%.0f", x), 64)
		return x
	}
	x, _ = strconv.ParseFloat(fmt.Sprintf("%.3g", x), 64)
	return x
}

// shortText is a figure for a chart: three digits, thousands set apart.
func shortText(x float64) string {
	if x >= 1000 {
		return grouped(x)
	}
	return threeDigits(x)
}

// grouped is a whole number with its thousands set apart.
func grouped(x float64) string {
	return groupedDigits(fmt.Sprintf("%.0f", x))
}

func groupedDigits(digits string) string {
	out := ""
	for len(digits) > 3 {
		out = "," + digits[len(digits)-3:] + out
		digits = digits[:len(digits)-3]
	}
	return digits + out
}

func latencyText(us float64) string {
	if us < 1000 {
		return threeDigits(us) + " us"
	}
	return threeDigits(us/1000) + " ms"
}
