// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// cast is what a way of saying one message to many did, in a line of fanout.csv, which
// tests/bench/fan_out.sh writes.
type cast struct {
	round     int
	transport string
	way       string
	peers     int
	size      int
	mode      string // alone: each message waits until the one before is read; back-to-back; echo, echo-first
	figures   []float64
}

// Places of a cast's figures.
const (
	castCaller = iota // ms; with echo: p50 beside silence, µs
	castDone          // ms until all is read; with echo: p99 beside silence, µs
	castMemory        // MB; with echo: p50 beside messages, µs
	castRate          // messages in a ms; with echo: p99 beside messages, µs
	castServer        // µs of processor for a message; with echo: messages a second that each peer got
	castClients
	castFigures
)

// castCell is one setting of a run.
type castCell struct {
	transport   string
	peers, size int
	mode        string
}

func (c cast) cell() castCell { return castCell{c.transport, c.peers, c.size, c.mode} }

type casts []cast

// readCasts reads fanout.csv; a run without has none.
func readCasts(dir string) (all casts, err error) {
	file, err := os.Open(filepath.Join(dir, "fanout.csv"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := csv.NewReader(file)
	lines.FieldsPerRecord = 6 + castFigures
	for {
		cells, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		c, err := newCast(cells)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		all = append(all, c)
	}
}

func newCast(cells []string) (c cast, err error) {
	c.transport, c.way, c.mode = cells[1], cells[2], cells[5]
	for i, to := range map[int]*int{0: &c.round, 3: &c.peers, 4: &c.size} {
		if *to, err = strconv.Atoi(cells[i]); err != nil {
			return c, err
		}
	}
	for _, cell := range cells[6:] {
		value, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			return c, err
		}
		c.figures = append(c.figures, value)
	}
	return c, nil
}

// of returns a figure of a way in a cell, in all rounds.
func (all casts) of(cell castCell, way string, figure int) (values []float64) {
	for _, c := range all {
		if c.cell() == cell && c.way == way {
			values = append(values, c.figures[figure])
		}
	}
	return values
}

// ratios divides a figure of a way by another way's in the same round.
func (all casts) ratios(cell castCell, way, by string, figure int) (values []float64) {
	for _, c := range all {
		for _, other := range all {
			if c.cell() == cell && other.cell() == cell && c.way == way && other.way == by && c.round == other.round {
				values = append(values, c.figures[figure]/other.figures[figure])
			}
		}
	}
	return values
}

// keys returns what differs among casts, in their order.
func keys[K comparable](all casts, key func(cast) K) (found []K) {
	for _, c := range all {
		if k := key(c); !slices.Contains(found, k) {
			found = append(found, k)
		}
	}
	return found
}

// spreadText is a median with the range of the rounds.
func spreadText(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	s := spreadOf(values)
	return fmt.Sprintf("%.3g (%.3g – %.3g)", s.Median, s.Min, s.Max)
}

func writeHead(out io.Writer, columns ...string) {
	fmt.Fprintf(out, "| | %s |\n|---%s|\n", strings.Join(columns, " | "), strings.Repeat("|---:", len(columns)))
}

// writeCasts prints tables for a document.
func writeCasts(out io.Writer, all casts) {
	for _, cell := range keys(all, cast.cell) {
		fmt.Fprintf(out, "\n%s, %d peers, %d bytes, %s\n\n", cell.transport, cell.peers, cell.size, cell.mode)
		if strings.HasPrefix(cell.mode, "echo") {
			writeHead(out, "p50 alone, µs", "p99 alone, µs", "p50 beside, µs", "p99 beside, µs", "p99 beside : alone", "messages a second")
		} else {
			writeHead(out, "caller busy, ms", "all read, ms", ": bare", "resident, MB", "messages/ms", ": sends", ": uws", "server, µs", "clients, µs")
		}
		for _, way := range keys(all, func(c cast) string { return c.way }) {
			of := func(figure int) string { return spreadText(all.of(cell, way, figure)) }
			switch {
			case len(all.of(cell, way, 0)) == 0:
			case strings.HasPrefix(cell.mode, "echo"):
				var times []float64
				for i, alone := range all.of(cell, way, castDone) {
					times = append(times, all.of(cell, way, castRate)[i]/alone)
				}
				fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", way, of(castCaller), of(castDone), of(castMemory),
					of(castRate), spreadText(times), of(castServer))
			default:
				fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", way, of(castCaller), of(castDone),
					spreadText(all.ratios(cell, way, "bare", castDone)), of(castMemory), of(castRate),
					spreadText(all.ratios(cell, way, "sends", castRate)), spreadText(all.ratios(cell, way, "uws", castRate)),
					of(castServer), of(castClients))
			}
		}
	}
}

// castGroup draws what grows with the peers: of the first transport, size and mode.
func (all casts) castGroup() group {
	if len(all) == 0 {
		return group{}
	}
	first := all[0].cell()
	g := group{Title: "One message to many", Note: fmt.Sprintf(
		"fan_out: %d bytes over %s to so many peers, by zlink_stream_publish, and by a loop of send (bare).", first.size, first.transport)}
	var x []string
	sizes := keys(all, func(c cast) int { return c.peers })
	slices.Sort(sizes)
	for _, peers := range sizes {
		x = append(x, grouped(float64(peers)))
	}
	for _, f := range []struct {
		id, title, unit string
		figure          int
	}{
		{"fanout-read", "Until all peers have read it, ms", "ms", castDone},
		{"fanout-caller", "The caller is busy, ms", "ms", castCaller},
		{"fanout-server", "Processor time of the server for a message, µs", "µs", castServer},
	} {
		var curves []line
		for _, way := range keys(all, func(c cast) string { return c.way }) {
			curve := line{stack: way}
			for _, peers := range sizes {
				cell := first
				cell.peers = peers
				var point any
				if values := all.of(cell, way, f.figure); len(values) > 0 && spreadOf(values).Median > 0 {
					point = significant(spreadOf(values).Median)
				}
				curve.values = append(curve.values, point)
			}
			curves = append(curves, curve)
		}
		g.add(lines(f.id, f.title, "", f.unit, "peers", x, true, curves))
	}
	return g
}
