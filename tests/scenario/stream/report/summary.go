// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
)

// limit is the stack that shows what the machine can do at all.
const limit = "epoll"

// references are the stacks that others are compared with, where they ran.
var references = []string{limit, "asio", "cppserver"}

// The columns that are summarised, and their names in summary.json.
var figures = []struct{ column, name string }{
	{"p50", "p50_us"}, {"p75", "p75_us"}, {"p90", "p90_us"}, {"p95", "p95_us"}, {"p99", "p99_us"},
	{"p999", "p999_us"}, {"p9999", "p9999_us"}, {"max", "max_us"},
	{"connect_ms", "connect_ms"},
	{"server_cpu_s", "server_cpu_s"}, {"server_cpu_s_per_million", "server_cpu_s_per_million"},
	{"server_rss_idle_kb", "server_rss_idle_kb"}, {"server_rss_kb", "server_rss_kb"},
	{"server_rss_peak_kb", "server_rss_peak_kb"},
	{"server_ctx_voluntary", "server_ctx_voluntary"}, {"server_ctx_involuntary", "server_ctx_involuntary"},
	{"syscalls_per_message", "syscalls_per_message"},
	{"client_cpu_s", "client_cpu_s"}, {"client_cpu_s_per_million", "client_cpu_s_per_million"}, {"client_rss_kb", "client_rss_kb"},
	{"client_conn_rss_kb", "client_conn_rss_kb"}, {"client_fds", "client_fds"},
}

// spread is what a figure was in the rounds that passed.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	values []float64
}

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1], values}
}

// result is what a stack did in one scenario, over the rounds.
type result struct {
	Stack    string
	Label    string
	Scenario string
	Verdict  string // FAIL when one round failed
	Rounds   int
	Passed   int
	Reasons  []string
	Check    string  // what the client checked of an echo, in the first round
	CCU      float64 // settings, the same
	Size     float64
	Inflight float64
	figures  map[string]spread
	rates    map[int]float64 // by round
	verdicts map[int]string  // the same; a round may have a second row for a server that ended badly
}

// get is a figure by its name in summary.json; false when no round has it.
func (r *result) get(name string) (spread, bool) {
	if r == nil {
		return spread{}, false
	}
	s, ok := r.figures[name]
	return s, ok
}

func (r *result) reason() string { return strings.Join(r.Reasons, "; ") }

// rate is what a scenario measures, the larger the better: messages or, in s1,
// connections a second.
func (r row) rate() (float64, bool) {
	if r.scenario != "s1" {
		return r.number("throughput")
	}
	ccu, ok := r.number("ccu")
	ms, timed := r.number("connect_ms")
	return ccu * 1000 / ms, ok && timed && ms > 0
}

// summary has its results in the order in which they first appear.
type summary struct {
	results []*result
	loops   map[string]string // the bare loop that is the limit, by label
	casts   casts             // one message to many
}

func (s summary) find(stack, label string) *result {
	for _, r := range s.results {
		if r.Stack == stack && r.Label == label {
			return r
		}
	}
	return nil
}

func summarize(t table) summary {
	var s summary
	values := map[*result]map[string][]float64{}
	for _, row := range t.Rows {
		r := s.find(row.stack, row.label)
		if r == nil {
			r = &result{Stack: row.stack, Label: row.label, Scenario: row.scenario,
				Check: row.check, rates: map[int]float64{}, verdicts: map[int]string{}}
			r.CCU, _ = row.number("ccu")
			r.Size, _ = row.number("size")
			r.Inflight, _ = row.number("inflight")
			s.results = append(s.results, r)
			values[r] = map[string][]float64{}
		}
		r.add(row, values[r])
	}
	for _, r := range s.results {
		r.figures = map[string]spread{}
		for name, list := range values[r] {
			r.figures[name] = spreadOf(list)
		}
	}
	s.addRatios()
	return s
}

func (r *result) add(row row, values map[string][]float64) {
	r.verdicts[row.round] = worse(r.verdicts[row.round], row.verdict)
	r.Rounds, r.Passed = len(r.verdicts), 0
	for _, verdict := range r.verdicts {
		if verdict == pass {
			r.Passed++
		}
	}
	r.Verdict = worse(r.Verdict, row.verdict)
	if row.verdict != pass {
		if !slices.Contains(r.Reasons, row.reason) {
			r.Reasons = append(r.Reasons, row.reason)
		}
		return
	}
	if row.label == syscallsLabel {
		if calls, ok := row.number("syscalls_per_message"); ok {
			values["syscalls_per_message"] = append(values["syscalls_per_message"], calls)
		}
		return
	}
	if rate, ok := row.rate(); ok {
		values["rate"] = append(values["rate"], rate)
		r.rates[row.round] = rate
	}
	for _, figure := range figures {
		// A scenario without traffic has no latency, though its cells say 0.
		if row.scenario == "s1" && strings.HasSuffix(figure.name, "_us") {
			continue
		}
		if value, ok := row.number(figure.column); ok {
			values[figure.name] = append(values[figure.name], value)
		}
	}
	for _, derived := range derivedFigures {
		if value, ok := derived.of(row); ok {
			values[derived.name] = append(values[derived.name], value)
		}
	}
}

// Figures that are made of several columns.
var derivedFigures = []struct {
	name string
	of   func(row) (float64, bool)
}{
	{"switches_per_thousand", row.switchesPerThousand},
	{"mb_per_s", row.megabytesPerSecond},
}

// switchesPerThousand counts both kinds of context switches of the server, for a
// thousand echoes of the measured phase.
func (r row) switchesPerThousand() (float64, bool) {
	voluntary, ok1 := r.number("server_ctx_voluntary")
	involuntary, ok2 := r.number("server_ctx_involuntary")
	rate, ok3 := r.number("throughput")
	seconds, ok4 := r.number("measured_s")
	ok := ok1 && ok2 && ok3 && ok4 && rate*seconds > 0
	return (voluntary + involuntary) * 1000 / (rate * seconds), ok
}

// megabytesPerSecond are those of the bodies that came back.
func (r row) megabytesPerSecond() (float64, bool) {
	rate, ok1 := r.number("throughput")
	size, ok2 := r.number("size")
	return rate * size / 1e6, ok1 && ok2 && rate > 0
}

// addRatios divides a stack's rate by a reference's of the same round, because
// the speed of a machine drifts from round to round.
func (s summary) addRatios() {
	for _, reference := range references {
		for _, r := range s.results {
			base := s.find(reference, r.Label)
			if base == nil {
				continue
			}
			var ratios []float64
			for round := range slices.Values(roundsOf(r)) {
				if base.rates[round] > 0 {
					ratios = append(ratios, r.rates[round]/base.rates[round])
				}
			}
			if len(ratios) > 0 {
				r.figures["ratio_to_"+reference] = spreadOf(ratios)
			}
		}
	}
}

// worse is FAIL when one of the two is, and SKIP only when nothing else is.
func worse(a, b string) string {
	for _, verdict := range []string{fail, pass} {
		if a == verdict || b == verdict {
			return verdict
		}
	}
	return skip
}

func roundsOf(r *result) []int {
	var rounds []int
	for round := range r.rates {
		rounds = append(rounds, round)
	}
	slices.Sort(rounds)
	return rounds
}

// checks are those that the client made: all, frames, or both.
func (s summary) checks() string {
	var names []string
	for _, r := range s.results {
		if !slices.Contains(names, r.Check) {
			names = append(names, r.Check)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " and ")
}

// stacks are those of the results with a label for which want is true.
func (s summary) stacks(want func(label string) bool) []string {
	var names []string
	for _, r := range s.results {
		if want(r.Label) && !slices.Contains(names, r.Stack) {
			names = append(names, r.Stack)
		}
	}
	return names
}

// MarshalJSON puts a result's figures next to what describes it, in the order
// of the list above.
func (r *result) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	head, err := json.Marshal(struct {
		Stack    string   `json:"stack"`
		Label    string   `json:"label"`
		Scenario string   `json:"scenario"`
		Check    string   `json:"check"`
		Verdict  string   `json:"verdict"`
		Rounds   int      `json:"rounds"`
		Passed   int      `json:"rounds_passed"`
		Reasons  []string `json:"reasons"`
	}{r.Stack, r.Label, r.Scenario, r.Check, r.Verdict, r.Rounds, r.Passed, append([]string{}, r.Reasons...)})
	if err != nil {
		return nil, err
	}
	out.Write(head[:len(head)-1])
	names := []string{"rate"}
	for _, reference := range references {
		names = append(names, "ratio_to_"+reference)
	}
	for _, figure := range figures {
		names = append(names, figure.name)
	}
	for _, derived := range derivedFigures {
		names = append(names, derived.name)
	}
	for _, name := range names {
		s, ok := r.figures[name]
		if !ok {
			continue
		}
		text, err := json.Marshal(spread{Median: round4(s.Median), Min: round4(s.Min), Max: round4(s.Max)})
		if err != nil {
			return nil, err
		}
		out.WriteString(`,"` + name + `":`)
		out.Write(text)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func round4(x float64) float64 { return math.Round(x*1e4) / 1e4 }
