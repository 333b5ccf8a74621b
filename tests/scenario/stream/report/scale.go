// SPDX-License-Identifier: MPL-2.0

package main

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot/plotter"
)

// A run of tests/scale/million.sh: very many connections, over one transport after another. Its folder has
// one for each transport, with result.csv and samples.csv.

//go:embed scale.html
var scaleText string

var scaleTemplate = template.Must(template.New("scale").Parse(scaleText))

// figure is a line of result.csv.
type figure struct {
	Name, Value, Goal, Met string
}

// Class is how the page shows whether the goal is met.
func (f figure) Class() string {
	switch f.Met {
	case "met":
		return pass
	case "missed":
		return "FAIL"
	}
	return ""
}

// scaleRun is a transport's.
type scaleRun struct {
	Transport string
	Figures   []figure
	Charts    []chart
}

type scalePage struct {
	Info    info
	Machine string
	Style   template.CSS
	Runs    []scaleRun
}

// records returns the lines of a file of the folder without its head; each has so many cells.
func records(dir, name string, cells int) ([][]string, error) {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := csv.NewReader(file)
	lines.FieldsPerRecord = cells
	all, err := lines.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	if len(all) < 2 {
		return nil, fmt.Errorf("%s has no figures", file.Name())
	}
	return all[1:], nil
}

func readScale(dir, transport string) (r scaleRun, err error) {
	r.Transport = transport
	results, err := records(filepath.Join(dir, transport), "result.csv", 4)
	if err != nil {
		return r, err
	}
	for _, cells := range results {
		f := figure{strings.ReplaceAll(cells[0], "_", " "), cells[1], cells[2], cells[3]}
		if value, err := strconv.ParseFloat(cells[1], 64); err == nil && value >= 1000 {
			f.Value = grouped(value)
		}
		if f.Goal == "0" {
			f.Goal = ""
		}
		r.Figures = append(r.Figures, f)
	}
	samples, err := records(filepath.Join(dir, transport), "samples.csv", scaleColumns)
	if err != nil {
		return r, err
	}
	r.Charts, err = scaleCharts(transport, samples)
	return r, err
}

// Columns of samples.csv.
const (
	scaleSeconds = iota
	scalePhase
	scaleConnections
	scaleServers
	scaleClients
	scaleKernel
	scalePongs
	scaleP50
	scaleP99
	scalePublished
	scaleColumns
)

// curveOf is what a chart draws of a column, divided by unit.
type curveOf struct {
	name   string
	column int
	unit   float64
}

func scaleCharts(transport string, samples [][]string) (all []chart, err error) {
	var marks []string
	for i, cells := range samples {
		if i == 0 || samples[i-1][scalePhase] != cells[scalePhase] {
			marks = append(marks, fmt.Sprintf("%s from %s s", cells[scalePhase], cells[scaleSeconds]))
		}
	}
	phases := "Phases: " + strings.Join(marks, ", ") + "."
	for _, c := range []struct {
		id, title, note, unit string
		curves                []curveOf
	}{
		{"connections", "Connections", phases, "thousands", []curveOf{{"connections", scaleConnections, 1e3}}},
		{"memory", "Memory", "Resident; pages that processes share count for each. The kernel's: what came since the start.", "MB",
			[]curveOf{{"servers", scaleServers, 1024}, {"clients", scaleClients, 1024}, {"kernel", scaleKernel, 1024}}},
		{"pings", "Round trip of pings, ms", "Of each half second; without pings there is no point.", "ms", []curveOf{{"p50", scaleP50, 1}, {"p99", scaleP99, 1}}},
		{"published", "Messages of a publish that came", "In each half second.", "thousands", []curveOf{{"read", scalePublished, 1e3}}},
	} {
		made, err := series(transport+"-"+c.id, c.title, c.note, c.unit, samples, c.curves)
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
	return all, nil
}

// series draws columns over the seconds.
func series(id, title, note, unit string, samples [][]string, curves []curveOf) (chart, error) {
	c := chart{ID: id, Title: title, Note: note}
	p := newPlot("s", unit)
	p.Add(grid(false, true))
	for _, curve := range curves {
		var at plotter.XYs
		for _, cells := range samples {
			x, err := strconv.ParseFloat(cells[scaleSeconds], 64)
			if err != nil {
				return c, err
			}
			y, err := strconv.ParseFloat(cells[curve.column], 64)
			if err != nil {
				return c, err
			}
			if noPings := curve.column == scaleP50 || curve.column == scaleP99; noPings && cells[scalePongs] == "0" {
				continue
			}
			at = append(at, plotter.XY{X: x, Y: y / curve.unit})
		}
		if len(at) == 0 {
			continue
		}
		l := must(plotter.NewLine(at))
		l.Color, l.Width = paint(colour(curve.name)), 1.5
		p.Add(l, roundDots(at, l.Color, 1.2))
		c.Marks += len(at)
		c.Legend = append(c.Legend, key{curve.name, template.CSS(colour(curve.name))})
	}
	p.Y.Min = min(p.Y.Min, 0)
	c.SVG = render(p, linesHeight)
	return c, nil
}

// writeScale writes report.html of the folder of a run.
func writeScale(dir string, i info) (err error) {
	_, style, _ := strings.Cut(pageText, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	p := scalePage{Info: i, Machine: i.Machine.text(), Style: template.CSS(style)}
	for _, transport := range []string{"tcp", "ws"} {
		r, err := readScale(dir, transport)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		p.Runs = append(p.Runs, r)
	}
	if len(p.Runs) == 0 {
		return fmt.Errorf("%s has no run of million.sh", dir)
	}
	file, err := os.Create(filepath.Join(dir, "report.html"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return scaleTemplate.Execute(file, p)
}
