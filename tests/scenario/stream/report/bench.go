// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The runs of the cells of ./build.sh bench have labels that begin so.
const cellPrefix = "cell-"

// benchRow is a stack in a cell: a line of the table, and a field of the heat map.
type benchRow struct {
	cell string // its name in cells.txt and floor.txt
	*result
	loop   string // of the limit: the bare loop that won
	floor  floor
	guards bool // there is a floor
}

func (s summary) benchRows(floors floors) []benchRow {
	var rows []benchRow
	for _, r := range s.results {
		cell, ok := strings.CutPrefix(r.Label, cellPrefix)
		if !ok || r.Passed == 0 {
			continue
		}
		row := benchRow{cell: cell, result: r}
		if r.Stack == limit {
			row.loop = s.loops[r.Label]
		}
		row.floor, row.guards = floors.find(cell, r.Stack)
		rows = append(rows, row)
	}
	return rows
}

// title is the cell in words: "tcp 10,000 × 1 KiB × 30".
func (b benchRow) title() string {
	transport, _, _ := strings.Cut(b.cell, "-")
	return fmt.Sprintf("%s %s × %s × %s", transport, grouped(b.CCU), bytesText(b.Size), grouped(b.Inflight))
}

func bytesText(bytes float64) string {
	switch {
	case bytes >= 1<<20:
		return grouped(bytes/(1<<20)) + " MiB"
	case bytes >= 1<<10:
		return grouped(bytes/(1<<10)) + " KiB"
	}
	return grouped(bytes) + " B"
}

func (b benchRow) name() string {
	if b.loop != "" {
		return b.Stack + ", " + b.loop
	}
	return b.Stack
}

func (b benchRow) floorText() string {
	if !b.guards {
		return "–"
	}
	return ratioText(b.floor.ratio)
}

func (b benchRow) spreadText() string {
	ratio, ok := b.get("ratio_to_" + limit)
	if !ok || b.Stack == limit {
		return "–"
	}
	return ratioText(ratio.Min) + " – " + ratioText(ratio.Max)
}

var benchColumns = []column{rateColumn, limitColumn, {"server CPU a message, µs", cpuColumn.figure, threeDigits}, idleColumn, peakColumn}

// benchTable has a row for every stack in every cell.
func benchTable(rows []benchRow) string {
	t := markdownTable{header: []string{"connections × bytes × in flight", "stack"}}
	for _, c := range benchColumns {
		t.header = append(t.header, c.title)
	}
	t.header = append(t.header, "lowest – highest")
	floors := slices.ContainsFunc(rows, func(b benchRow) bool { return b.guards })
	if floors {
		t.header = append(t.header, "floor")
	}
	last := ""
	for _, b := range rows {
		cells := []string{b.title(), b.name()}
		if b.cell == last {
			cells[0] = ""
		}
		last = b.cell
		for _, c := range benchColumns {
			cells = append(cells, c.cell(b.result))
		}
		cells = append(cells, b.spreadText())
		if floors {
			cells = append(cells, b.floorText())
		}
		t.rows = append(t.rows, cells)
	}
	return t.String()
}

// benchBlock is the table as a page has it: below the heat map, which is to lie beside the page.
func benchBlock(s summary) string {
	table := benchTable(s.benchRows(nil))
	if table == "" {
		return ""
	}
	return "![Messages/s of each stack against the best bare loop, by cell](bench.svg)\n\n" + table
}

var benchFigures = []string{"rate", "ratio_to_" + limit, "server_cpu_s_per_million", "client_cpu_s",
	"server_rss_idle_kb", "server_rss_peak_kb", "p50_us", "p99_us"}

// benchCSV is the same for programs: medians, and of ratios the lowest and highest.
func benchCSV(out io.Writer, rows []benchRow) error {
	w := csv.NewWriter(out)
	header := []string{"cell", "connections", "bytes", "in_flight", "stack", "loop", "check", "rounds"}
	_ = w.Write(append(append(header, benchFigures...), "lowest_ratio", "highest_ratio", "floor"))
	number := func(x float64) string { return strconv.FormatFloat(round4(x), 'f', -1, 64) }
	for _, b := range rows {
		cells := []string{b.cell, number(b.CCU), number(b.Size), number(b.Inflight), b.Stack, b.loop, b.Check, strconv.Itoa(b.Passed)}
		for _, name := range benchFigures {
			cells = append(cells, cell(b.result, name, number))
		}
		ratio, _ := b.get("ratio_to_" + limit)
		_ = w.Write(append(cells, number(ratio.Min), number(ratio.Max), b.floorText()))
	}
	w.Flush()
	return w.Error()
}

// bench writes the table, in two forms, and the heat map, prints the table, and fails
// when one of the floors does not hold.
func bench(out io.Writer, dir string, i info, s summary, floors floors) error {
	rows := s.benchRows(floors)
	if len(rows) == 0 {
		return errors.New("no round of a cell passed")
	}
	text := benchTable(rows) + "\n" + i.origin(s)
	fmt.Fprintln(out, text)
	file, err := os.Create(filepath.Join(dir, "bench.csv"))
	if err != nil {
		return err
	}
	err = errors.Join(benchCSV(file, rows), file.Close(),
		os.WriteFile(filepath.Join(dir, "bench.md"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.svg"), []byte(heatMap(rows, i, s)), 0o644))
	return errors.Join(err, floors.check(out, s))
}

// readLoops says which bare loop is the limit of a case, by its label. Without the
// file nothing was chosen.
func readLoops(dir string) map[string]string {
	loops := map[string]string{}
	file, err := os.Open(filepath.Join(dir, "limits.csv"))
	if err != nil {
		return loops
	}
	defer file.Close()
	lines, _ := csv.NewReader(file).ReadAll()
	for _, line := range lines[min(1, len(lines)):] {
		bytes, _ := strconv.ParseFloat(line[2], 64)
		plural := "s"
		if line[1] == "1" {
			plural = ""
		}
		loops[line[0]] = fmt.Sprintf("%s thread%s, %s", line[1], plural, bytesText(bytes))
	}
	return loops
}
