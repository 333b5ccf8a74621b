// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// floor is a line of floor.txt: the lowest ratio to the limit that a stack may have
// in a cell, and the most memory that its server may take.
type floor struct {
	cell, stack string
	ratio       float64
	idle, peak  float64 // MB; 0: not bounded
}

type floors []floor

func (f floors) find(cell, stack string) (floor, bool) {
	at := slices.IndexFunc(f, func(l floor) bool { return l.cell == cell && l.stack == stack })
	if at < 0 {
		return floor{}, false
	}
	return f[at], true
}

// parseFloors reads lines of "CELL STACK RATIO [IDLE-MB PEAK-MB]"; # begins a comment.
func parseFloors(in io.Reader) (floors, error) {
	var all floors
	for lines := bufio.NewScanner(in); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 && len(words) != 5 {
			return nil, fmt.Errorf("%q is not CELL STACK RATIO, or CELL STACK RATIO IDLE-MB PEAK-MB", text)
		}
		line := floor{cell: words[0], stack: words[1]}
		for i, value := range []*float64{&line.ratio, &line.idle, &line.peak}[:len(words)-2] {
			number, err := strconv.ParseFloat(words[2+i], 64)
			if err != nil || number <= 0 || (i == 0 && number > 2) {
				return nil, fmt.Errorf("%s %s: %q is not a ratio or a number of MB", line.cell, line.stack, words[2+i])
			}
			*value = number
		}
		if _, twice := all.find(line.cell, line.stack); twice {
			return nil, fmt.Errorf("two lines for %s %s", line.cell, line.stack)
		}
		all = append(all, line)
	}
	return all, nil
}

func readFloors(path string) (floors, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	all, err := parseFloors(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// ours are the stacks that must have a floor in every cell in which they run; peers
// are only compared with.
func ours(stack string) bool { return strings.HasPrefix(stack, "zlink") }

// check says how many floors hold, and fails with a sentence for each that does not,
// and for each that is missing.
func (f floors) check(out io.Writer, s summary) error {
	var all []error
	held := 0
	for _, r := range s.results {
		cell, ok := strings.CutPrefix(r.Label, cellPrefix)
		if !ok || !ours(r.Stack) {
			continue
		}
		line, ok := f.find(cell, r.Stack)
		if !ok {
			all = append(all, fmt.Errorf("floor.txt has no line for %s in %s", r.Stack, cell))
			continue
		}
		if wrong := line.wrong(r); len(wrong) > 0 {
			all = append(all, wrong...)
		} else {
			held++
		}
	}
	for _, line := range f {
		ran := s.find(limit, cellPrefix+line.cell) != nil
		if ran && s.find(line.stack, cellPrefix+line.cell) == nil {
			all = append(all, fmt.Errorf("floor.txt has a line for %s in %s, where it did not run", line.stack, line.cell))
		}
	}
	fmt.Fprintf(out, "%d of %d floors hold\n", held, held+len(all))
	return errors.Join(all...)
}

func (f floor) wrong(r *result) (all []error) {
	ratio, ok := r.get("ratio_to_" + limit)
	switch {
	case !ok:
		all = append(all, fmt.Errorf("%s in %s: no round passed for it and the limit", f.stack, f.cell))
	case ratio.Median < f.ratio:
		all = append(all, fmt.Errorf("%s in %s has %.2f of the limit's rate (%.2f – %.2f), less than its floor, %.2f",
			f.stack, f.cell, ratio.Median, ratio.Min, ratio.Max, f.ratio))
	}
	for _, m := range []struct {
		what, figure string
		most         float64
	}{{"idle", "server_rss_idle_kb", f.idle}, {"at its peak", "server_rss_peak_kb", f.peak}} {
		if kb, ok := r.get(m.figure); ok && m.most > 0 && kb.Median > m.most*1024 {
			all = append(all, fmt.Errorf("%s in %s takes %.1f MB %s, more than %g", f.stack, f.cell, kb.Median/1024, m.what, m.most))
		}
	}
	return all
}

// writeFloors prints the lines of a floor.txt that this run would pass: 0.85 of the
// lowest ratio of a round, and 1.2 times the memory where connections are many.
func writeFloors(out io.Writer, s summary) {
	for _, b := range s.benchRows(nil) {
		ratio, ok := b.get("ratio_to_" + limit)
		if !ours(b.Stack) || !ok {
			continue
		}
		fmt.Fprintf(out, "%-20s %-12s %.2f", b.cell, b.Stack, math.Floor(ratio.Min*0.85*100)/100)
		idle, _ := b.get("server_rss_idle_kb")
		peak, _ := b.get("server_rss_peak_kb")
		if b.CCU >= 5000 {
			fmt.Fprintf(out, " %3.0f %3.0f", math.Ceil(idle.Max*1.2/1024), math.Ceil(peak.Max*1.2/1024))
		}
		fmt.Fprintln(out)
	}
}
