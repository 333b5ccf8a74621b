// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

const (
	pass = "PASS"
	fail = "FAIL"
	skip = "SKIP"
)

// syscallsLabel names the extra runs in which a tracer slowed the server down:
// only their count of system calls means anything.
const syscallsLabel = "s2-syscalls"

// row is one run of one stack, a line of metrics.csv.
type row struct {
	Cells    []string
	stack    string
	label    string // what the stack ran: s2, s3-size-65536, s4-tls-s0
	scenario string // of which kind that is: s0, s1 or s2
	round    int
	verdict  string
	reason   string
	check    string // what the client looked at of an echo: all or frames
	column   map[string]int
}

// number is a figure of the row; false when the cell is empty or missing.
func (r row) number(name string) (float64, bool) {
	i, ok := r.column[name]
	if !ok {
		return 0, false
	}
	value, err := strconv.ParseFloat(r.Cells[i], 64)
	return value, err == nil
}

// table is metrics.csv.
type table struct {
	Header []string
	Rows   []row
}

// The columns without which a row says nothing.
var neededColumns = []string{
	"scenario_id", "stack", "label", "scenario", "round", "throughput", "connect_ms", "pass_fail", "reason",
}

func readTable(dir string) (table, error) {
	file, err := os.Open(filepath.Join(dir, "metrics.csv"))
	if err != nil {
		return table{}, err
	}
	defer file.Close()
	t, err := parseTable(file)
	if err != nil {
		return table{}, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return t, nil
}

func parseTable(in io.Reader) (table, error) {
	lines := csv.NewReader(in)
	header, err := lines.Read()
	if errors.Is(err, io.EOF) {
		return table{}, errors.New("it is empty")
	}
	if err != nil {
		return table{}, err
	}
	column := map[string]int{}
	for i, name := range header {
		column[name] = i
	}
	for _, name := range neededColumns {
		if _, ok := column[name]; !ok {
			return table{}, fmt.Errorf("no column %s", name)
		}
	}
	t := table{Header: header}
	for {
		cells, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return table{}, err
		}
		r, err := newRow(cells, column)
		if err != nil {
			line, _ := lines.FieldPos(0)
			return table{}, fmt.Errorf("line %d: %w", line, err)
		}
		t.Rows = append(t.Rows, r)
	}
	if len(t.Rows) == 0 {
		return table{}, errors.New("it has no rows")
	}
	return t, nil
}

// An underscore stands for a blank, but not in the name of a variable.
var blank = regexp.MustCompile(`([^A-Z])_|_([^A-Z])`)

func readable(reason string) string { return blank.ReplaceAllString(reason, "$1 $2") }

func newRow(cells []string, column map[string]int) (row, error) {
	text := func(name string) string { return cells[column[name]] }
	round, err := strconv.Atoi(text("round"))
	if err != nil {
		return row{}, fmt.Errorf("round %q is not a number", text("round"))
	}
	r := row{
		Cells: cells, column: column, round: round,
		stack: text("stack"), label: text("label"), scenario: text("scenario"),
		verdict: text("pass_fail"), reason: readable(text("reason")),
	}
	r.check = "all" // what there was before there was a choice
	if _, ok := column["check"]; ok {
		r.check = text("check")
	}
	switch r.verdict {
	case pass, fail, skip:
		return r, nil
	}
	return row{}, fmt.Errorf("pass_fail %q is not PASS, FAIL or SKIP", r.verdict)
}
