// SPDX-License-Identifier: MPL-2.0

package main

import (
	_ "embed"
	"encoding/csv"
	"html/template"
	"os"
	"path/filepath"
	"strconv"
)

//go:embed page.html
var pageText string

// report is what a run found: figures, which go into a table and a CSV, and charts of them.
type report struct {
	Title    string
	Machine  string
	Rows     []row
	Charts   []chart
	Faults   []string
	Warnings []string
}

// row is a figure.
type row struct {
	Part, Name string
	Value      float64
	Unit       string
	Note       string
}

type chart struct {
	Title, Note string
	SVG         template.HTML
}

func (r *report) row(part, name string, value float64, unit, note string) {
	r.Rows = append(r.Rows, row{part, name, value, unit, note})
}

func (r *report) chart(title, note string, svg template.HTML) {
	r.Charts = append(r.Charts, chart{title, note, svg})
}

// Text is the value as the page shows it.
func (r row) Text() string { return short(r.Value) }

// write makes results.csv and report.html.
func (r *report) write(folder string) error {
	table, err := os.Create(filepath.Join(folder, "results.csv"))
	if err != nil {
		return err
	}
	defer table.Close()
	w := csv.NewWriter(table)
	_ = w.Write([]string{"part", "name", "value", "unit", "note"}) // Flush keeps the error
	for _, row := range r.Rows {
		_ = w.Write([]string{row.Part, row.Name, strconv.FormatFloat(row.Value, 'g', 6, 64), row.Unit, row.Note})
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	page, err := os.Create(filepath.Join(folder, "report.html"))
	if err != nil {
		return err
	}
	defer page.Close()
	return template.Must(template.New("page").Parse(pageText)).Execute(page, r)
}
