// SPDX-License-Identifier: MPL-2.0

// Command stream_report summarises a run of the stream scenarios.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const usage = `usage: stream_report [FLAG...] COMMAND DIR

DIR is the folder of a run, with its metrics.csv. Commands:
  write    write summary.json, with this machine and the settings in the
           environment, and report.html
  html     write report.html again, from metrics.csv and summary.json
  table    print the results
  markdown print the results as tables for a document
  fill     put them into the blocks of the document that -into names: what is
           between the lines <!-- numbers NAME --> and <!-- end -->
  bench    the cells of a run: print their table and write bench.md, bench.csv and
           the heat map bench.svg; code 1 when a ratio is below its line in the
           file that -floor names, or has none there
  floors   print the lines of such a file that the run would pass
  picture  write DIR/s2.svg, or what -out names: a chart of the throughput
  fanout   print what fanout.csv says of one message to many, as tables
  scale    write report.html of a run of tests/scale/million.sh
  charts   count the charts of DIR's report.html; code 1 when there are none, or
           one is empty

Flags:
`

func main() {
	flags := flag.NewFlagSet("stream_report", flag.ContinueOnError)
	floor := flags.String("floor", "", "bench: file with the lowest ratios allowed")
	into := flags.String("into", "", "fill: the document")
	picture := flags.String("out", "", "picture: the file")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	if flags.NArg() != 2 {
		flags.Usage()
		os.Exit(2)
	}
	command := command{flags.Arg(0), flags.Arg(1), *floor, *into, *picture}
	if err := command.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stream_report:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

var errUsage = errors.New("see stream_report -help")

type command struct {
	name, dir, floor, into, picture string
}

func (c command) run(out io.Writer) error {
	if c.name == "charts" {
		return countCharts(out, c.dir)
	}
	if c.name == "scale" {
		return writeScale(c.dir, infoHere())
	}
	casts, err := readCasts(c.dir)
	if err != nil {
		return err
	}
	if c.name == "fanout" {
		writeCasts(out, casts)
		return nil
	}
	t, err := readTable(c.dir)
	if err != nil {
		return err
	}
	s := summarize(t)
	s.loops, s.casts = readLoops(c.dir), casts
	switch c.name {
	case "write":
		i := infoHere()
		if err := writeSummary(c.dir, i, s); err != nil {
			return err
		}
		return writePage(c.dir, newPage(i, t, s))
	case "html":
		i, err := readInfo(c.dir)
		if err != nil {
			return err
		}
		return writePage(c.dir, newPage(i, t, s))
	case "table":
		writeText(out, s)
		return nil
	case "markdown", "fill":
		i, err := readInfo(c.dir)
		if err != nil {
			return err
		}
		if c.name == "fill" {
			return fill(out, c.into, i, s)
		}
		writeMarkdown(out, i, s)
		return nil
	case "bench":
		floors, err := readFloors(c.floor)
		if err != nil {
			return err
		}
		i, err := readInfo(c.dir)
		if err != nil {
			return err
		}
		return bench(out, c.dir, i, s, floors)
	case "floors":
		writeFloors(out, s)
		return nil
	case "picture":
		if c.picture == "" {
			c.picture = filepath.Join(c.dir, "s2.svg")
		}
		return writePicture(c.picture, s)
	}
	return fmt.Errorf("unknown command %q: %w", c.name, errUsage)
}
