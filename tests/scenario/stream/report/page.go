// SPDX-License-Identifier: MPL-2.0

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// headline is a stack's line of the first table: s2 at a glance.
type headline struct {
	Stack   string
	Colour  template.CSS
	Share   float64 // of the fastest, in percent
	Rate    string
	Spread  string
	Ratios  []string
	P50     string
	P99     string
	P999    string
	Memory  string
	CPU     string
	Calls   string
	Verdict string
	Ours    bool
}

// absence is a scenario that did not pass in every round, and why.
type absence struct {
	Stack, Label, Verdict, Rounds, Reason string
}

type setting struct{ Name, Value string }

type page struct {
	Info       info
	Machine    string
	Checks     string // what the client checked of echoes
	Settings   []setting
	References []string
	Headlines  []headline
	Groups     []group
	Absences   []absence
	Runs       int
	Passed     int
	Table      table
}

func newPage(i info, t table, s summary) page {
	p := page{Info: i, Machine: i.Machine.text(), Checks: s.checks(), Settings: i.settings(), Groups: groupsOf(s), Table: t,
		Absences: absences(s), Runs: len(t.Rows)}
	for _, row := range t.Rows {
		if row.verdict == pass {
			p.Passed++
		}
	}
	// A column of dashes says less than the table of what was skipped.
	for _, reference := range []string{"cppserver", "asio", limit} {
		if _, ok := s.find(reference, "s2").get("rate"); ok {
			p.References = append(p.References, reference)
		}
	}
	p.Headlines = headlines(s, p.References)
	return p
}

func (m machine) text() string {
	if m.CPUs == 0 {
		return "unknown machine"
	}
	return fmt.Sprintf("%s, %d processors, %.0f GB, %s", m.CPUModel, m.CPUs, float64(m.MemoryKB)/1024/1024, m.Kernel)
}

func (i info) settings() []setting {
	var all []setting
	for _, name := range settingNames {
		if value, ok := i.Settings[name]; ok && value != "" {
			all = append(all, setting{name, settingText(value)})
		}
	}
	return all
}

func settingText(value any) string {
	if number, ok := value.(float64); ok {
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

func headlines(s summary, references []string) []headline {
	best := 0.0
	for _, b := range s.barsOf("s2", "rate", 1) {
		best = max(best, b.values.Median)
	}
	var all []headline
	for _, r := range s.results {
		if r.Label != "s2" {
			continue
		}
		h := headline{
			Stack: r.Stack, Colour: template.CSS(colour(r.Stack)), Verdict: r.Verdict, Spread: "–",
			Rate: cell(r, "rate", grouped), P50: cell(r, "p50_us", latencyText), P99: cell(r, "p99_us", latencyText),
			P999: cell(r, "p999_us", latencyText), Memory: cell(r, "server_rss_idle_kb", megabytes) + " / " + cell(r, "server_rss_peak_kb", megabytes),
			CPU:   cell(r, "server_cpu_s_per_million", threeDigits),
			Calls: cell(s.find(r.Stack, syscallsLabel), "syscalls_per_message", threeDigits),
			Ours:  strings.Contains(r.Stack, "zlink"),
		}
		if rate, ok := r.get("rate"); ok {
			h.Share = rate.Median / best * 100
			h.Spread = grouped(rate.Min/1e3) + " – " + grouped(rate.Max/1e3)
		}
		for _, reference := range references {
			h.Ratios = append(h.Ratios, cell(r, "ratio_to_"+reference, ratioText))
		}
		all = append(all, h)
	}
	return all
}

// absences joins the rows of a stack that are missing for the same reason.
func absences(s summary) []absence {
	var all []absence
	for _, r := range s.results {
		if len(r.Reasons) == 0 {
			continue
		}
		a := absence{r.Stack, r.Label, r.Verdict, fmt.Sprintf("%d of %d", r.Rounds-r.Passed, r.Rounds), r.reason()}
		i := slices.IndexFunc(all, func(b absence) bool {
			return a.Stack == b.Stack && a.Verdict == b.Verdict && a.Rounds == b.Rounds && a.Reason == b.Reason
		})
		if i < 0 {
			all = append(all, a)
		} else {
			all[i].Label += ", " + a.Label
		}
	}
	return all
}

func (p page) write(out io.Writer) error { return pageTemplate.Execute(out, p) }

func writePage(dir string, p page) (err error) {
	file, err := os.Create(filepath.Join(dir, "report.html"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return p.write(file)
}
