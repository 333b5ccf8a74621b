// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// markdownTable has its first column to the left, and the others, which are
// numbers unless it is all text, to the right.
type markdownTable struct {
	header []string
	rows   [][]string
	text   bool
}

func (t markdownTable) String() string {
	if len(t.rows) == 0 {
		return ""
	}
	var out strings.Builder
	line := func(cells []string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.header)
	other := "---:|"
	if t.text {
		other = "---|"
	}
	fmt.Fprintf(&out, "|---|%s\n", strings.Repeat(other, len(t.header)-1))
	for _, row := range t.rows {
		line(row)
	}
	return out.String()
}

// column is a figure of a result as a cell shows it.
type column struct {
	title  string
	figure string
	format func(float64) string
}

func (c column) cell(r *result) string { return cell(r, c.figure, c.format) }

var (
	rateColumn     = column{"messages/s", "rate", grouped}
	limitColumn    = column{"of the limit", "ratio_to_" + limit, ratioText}
	p50Column      = column{"p50", "p50_us", latencyText}
	p99Column      = column{"p99", "p99_us", latencyText}
	p999Column     = column{"p99.9", "p999_us", latencyText}
	cpuColumn      = column{"CPU s for 10⁶ messages", "server_cpu_s_per_million", threeDigits}
	idleColumn     = column{"memory idle, MB", "server_rss_idle_kb", megabytes}
	peakColumn     = column{"peak, MB", "server_rss_peak_kb", megabytes}
	switchesColumn = column{"context switches for 10³ messages", "switches_per_thousand", threeDigits}
)

// resultTable has a row for every stack that passed a round of a scenario.
func (s summary) resultTable(label string, columns ...column) markdownTable {
	t := markdownTable{header: []string{"stack"}}
	for _, c := range columns {
		t.header = append(t.header, c.title)
	}
	for _, r := range s.results {
		if r.Label != label || r.Passed == 0 {
			continue
		}
		cells := []string{r.Stack}
		for _, c := range columns {
			cells = append(cells, c.cell(r))
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// addSpread puts a column behind that of the ratio: its lowest and highest.
func (t markdownTable) addSpread(s summary, label string) markdownTable {
	t.header = insert(t.header, 3, "lowest – highest")
	for i, row := range t.rows {
		text := "–"
		if ratio, ok := s.find(row[0], label).get("ratio_to_" + limit); ok {
			text = ratioText(ratio.Min) + " – " + ratioText(ratio.Max)
		}
		t.rows[i] = insert(row, 3, text)
	}
	return t
}

func insert(list []string, at int, text string) []string {
	return append(list[:at:at], append([]string{text}, list[at:]...)...)
}

func (s summary) s2Table() string {
	columns := []column{rateColumn, limitColumn}
	for _, reference := range []string{"asio", "cppserver"} {
		if _, ok := s.find(reference, "s2").get("rate"); ok {
			columns = append(columns, column{"to " + reference, "ratio_to_" + reference, ratioText})
		}
	}
	columns = append(columns, p50Column, p99Column, p999Column)
	return s.resultTable("s2", columns...).addSpread(s, "s2").String()
}

// costTable has the system calls from the runs in which they were counted.
func (s summary) costTable() string {
	t := s.resultTable("s2", cpuColumn, idleColumn, peakColumn, switchesColumn)
	t.header = append(t.header, "system calls for a message")
	for i, row := range t.rows {
		t.rows[i] = append(row, cell(s.find(row[0], syscallsLabel), "syscalls_per_message", threeDigits))
	}
	return t.String()
}

// absentTable is that of a run with s2, and not of a sweep.
func (s summary) absentTable() string {
	if !slices.ContainsFunc(s.results, func(r *result) bool { return r.Label == "s2" }) {
		return ""
	}
	t := markdownTable{header: []string{"stack", "", "rounds", "why", "scenarios"}, text: true}
	for _, a := range absences(s) {
		t.rows = append(t.rows, []string{a.Stack, a.Verdict, a.Rounds, strings.ReplaceAll(a.Reason, "|", "\\|"), a.Label})
	}
	if len(t.rows) == 0 {
		return "Every row passed.\n"
	}
	return t.String()
}

// glanceTable is the small one of the README.
func (s summary) glanceTable() string {
	against := column{"vs bare epoll", limitColumn.figure, ratioText}
	cpu := column{"server CPU a message, µs", cpuColumn.figure, threeDigits}
	return s.resultTable("s2", rateColumn, against, cpu, p99Column, idleColumn, peakColumn).addSpread(s, "s2").String()
}

// sweepTables has a table for each figure: a row for a value, a column for a stack.
func (s summary) sweepTables(name string) string {
	var out strings.Builder
	for _, w := range s.sweeps() {
		if w.name != name {
			continue
		}
		for _, f := range w.figures() {
			if f == p50Figure {
				continue // beside p99 it tells little more
			}
			curves := s.sweepCurves(w, f.name, f.scale)
			t := markdownTable{header: []string{w.axis()}}
			for _, c := range curves {
				t.header = append(t.header, c.stack)
			}
			for i, value := range w.values {
				row := []string{groupedDigits(value)}
				for _, c := range curves {
					row = append(row, pointText(c.values[i]))
				}
				t.rows = append(t.rows, row)
			}
			if len(curves) > 0 {
				fmt.Fprintf(&out, "%s:\n\n%s\n", f.title, t)
			}
		}
		if constants := s.constants(w.has); constants != "" && out.Len() > 0 {
			fmt.Fprintf(&out, "With %s.\n", constants)
		}
	}
	return out.String()
}

func pointText(value any) string {
	if number, ok := value.(float64); ok {
		return shortText(number)
	}
	return "–"
}

// pacedTable is that of a run in which the clients kept to a rate below what
// the servers can take: its latency is not that of full windows.
func (s summary) pacedTable() string {
	return s.resultTable("s2", rateColumn, p50Column, p99Column, p999Column, cpuColumn, peakColumn).String()
}

// A block is a part of a document that the numbers of a run fill: "" when the run
// has none for it.
type block struct {
	name string
	text func(summary) string
}

// numbers are those that a block gets from a run. A run at a given rate has some
// for one block only: it says nothing about what the servers can do.
func (b block) numbers(i info, s summary) string {
	rate, _ := i.Settings["RATE"].(float64)
	if paced := rate > 0; paced != (b.name == "paced") {
		return ""
	}
	return b.text(s)
}

func blocks() []block {
	all := []block{
		{"glance", summary.glanceTable},
		{"bench", benchBlock},
		{"s0", func(s summary) string {
			return s.resultTable("s0", column{"round trips/s", "rate", grouped}, limitColumn, p50Column, p99Column,
				p999Column).addSpread(s, "s0").String()
		}},
		{"s1", func(s summary) string {
			return s.resultTable("s1", column{"connections/s", "rate", grouped}, limitColumn,
				column{"all open after, ms", "connect_ms", grouped}, idleColumn).addSpread(s, "s1").String()
		}},
		{"s2", summary.s2Table},
		{"cost", summary.costTable},
		{"absent", summary.absentTable},
		{"paced", summary.pacedTable},
		{"s4", summary.transportTable},
	}
	for _, name := range slices.Sorted(maps.Keys(sweepTitles)) {
		all = append(all, block{"s3-" + name, func(s summary) string { return s.sweepTables(name) }})
	}
	return all
}

// origin says where the numbers come from.
func (i info) origin(s summary) string {
	rounds := 0
	for _, r := range s.results {
		rounds = max(rounds, r.Rounds)
	}
	day, _, _ := strings.Cut(i.Started, " ")
	medians := fmt.Sprintf("Medians of %d rounds", rounds)
	if rounds == 1 {
		medians = "One round"
	}
	return fmt.Sprintf("%s of `%s`, check %s, commit %s, %s, %d processors.\n", medians, i.Command,
		s.checks(), i.Commit, day, i.Machine.CPUs)
}

// writeMarkdown prints every block that the run has numbers for.
func writeMarkdown(out io.Writer, i info, s summary) {
	for _, b := range blocks() {
		if text := b.numbers(i, s); text != "" {
			fmt.Fprintf(out, "## %s\n\n%s\n%s\n", b.name, text, i.origin(s))
		}
	}
}
