// SPDX-License-Identifier: MPL-2.0

package doc

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// doc/conformance.md and SECURITY.md name tests in backquotes: "c_poll:timeouts" is a case of
// a ctest, "c_header" a ctest without cases, "example_mtls" one of examples/, and
// "core/sockets/stream:TestPoll" and "gateway:TestOrder" Go tests.

var (
	cTest     = regexp.MustCompile("`((?:c|example|abi|build|scale|tool)_\\w+(?::[\\w-]+)?)`")
	goTest    = regexp.MustCompile("`((?:core|gateway)[/\\w]*:(?:Test|Fuzz)\\w+)`")
	ctestName = regexp.MustCompile(`^\d+/\d+ Test: (\w+)$`)
	casePass  = regexp.MustCompile(`^ok ([\w-]+)`)
	goPass    = regexp.MustCompile(`^--- PASS: ((?:Test|Fuzz)\w+) `)
	skipCase  = regexp.MustCompile(`^skipped (\w+): (.*)`)
	skipLine  = regexp.MustCompile(`^skipped(?: [\w-]+)?: (.*)`)
	goPackage = regexp.MustCompile(`^(?:ok|FAIL)\s+github.com/zlink/zlink/(\S+)`)
)

// lines reads a log of the test run.
func lines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatalf("%v; run ./build.sh test first", err)
	}
	return strings.Split(string(text), "\n")
}

// ran is what the logs tell: which tests passed, as the page names them, and
// which programs could not run here, and why.
type ran struct {
	passed  map[string]bool
	skipped map[string]string
}

// skip is why a test, or a part of it, did not run; a program without one case that
// passed says so for all of them.
func (r ran) skip(test string) (string, bool) {
	if reason, ok := r.skipped[test]; ok {
		return reason, true
	}
	program, _, _ := strings.Cut(test, ":")
	reason, ok := r.skipped[program]
	return reason, ok
}

// ctests reads CTest's log.
func (r ran) ctests(log []string) {
	program, reason, cases, missing := "", "", []string{}, map[string]string{}
	for _, line := range log {
		switch {
		case ctestName.MatchString(line):
			program, reason, cases = ctestName.FindStringSubmatch(line)[1], "", nil
			clear(missing)
		case casePass.MatchString(line):
			cases = append(cases, casePass.FindStringSubmatch(line)[1])
		case skipCase.MatchString(line):
			m := skipCase.FindStringSubmatch(line)
			missing[m[1]] = m[2]
		case skipLine.MatchString(line):
			reason = skipLine.FindStringSubmatch(line)[1]
		case line == "Test Passed." && reason != "" && len(cases) == 0:
			r.skipped[program] = reason
		case line == "Test Passed.":
			for c, why := range missing {
				r.skipped[program+":"+c] = why
			}
			r.passed[program] = true
			for _, c := range cases {
				r.passed[program+":"+c] = true
			}
		}
	}
}

func whatRan(t *testing.T) ran {
	t.Helper()
	r := ran{map[string]bool{}, map[string]string{}}
	r.ctests(lines(t, "build/Testing/Temporary/LastTest.log"))
	tests := []string{}
	for _, line := range append(lines(t, "build/go-test.log"), lines(t, "build/gateway-test.log")...) {
		if m := goPass.FindStringSubmatch(line); m != nil {
			tests = append(tests, m[1])
		}
		if m := goPackage.FindStringSubmatch(line); m != nil {
			for _, test := range tests {
				r.passed[m[1]+":"+test] = true
			}
			tests = nil
		}
	}
	return r
}

func TestRulesHaveTestsThatPassed(t *testing.T) {
	ran := whatRan(t)
	for _, p := range pages(t, "doc/conformance.md", "SECURITY.md") {
		t.Run(filepath.Base(p.name), func(t *testing.T) { rowsHaveTests(t, p, ran) })
	}
}

// headOfRows is the first cell of a table's first line.
var headOfRows = regexp.MustCompile(`^\| (rule|function|promise) \|`)

// rowsHaveTests checks that each row of a page's tables names tests in its last cell, and
// that they passed.
func rowsHaveTests(t *testing.T, p page, ran ran) {
	var bad []string
	rows := 0
	for i, line := range strings.Split(p.text, "\n") {
		if !strings.HasPrefix(line, "| ") || headOfRows.MatchString(line) {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		proof := cells[len(cells)-1]
		tests := append(cTest.FindAllStringSubmatch(proof, -1), goTest.FindAllStringSubmatch(proof, -1)...)
		if len(tests) == 0 {
			bad = append(bad, fmt.Sprintf("%s:%d: no test", p.name, i+1))
		}
		if n := strings.Count(proof, "`") / 2; n != len(tests) {
			bad = append(bad, fmt.Sprintf("%s:%d: %d names, %d of them tests", p.name, i+1, n, len(tests)))
		}
		for _, m := range tests {
			if reason, skipped := ran.skip(m[1]); skipped {
				fmt.Printf("not run here: %s: %s\n", m[1], reason)
			} else if !ran.passed[m[1]] {
				bad = append(bad, fmt.Sprintf("%s:%d: %s did not run, or failed", p.name, i+1, m[1]))
			}
		}
	}
	if rows == 0 {
		bad = append(bad, p.name+": no rows")
	}
	report(t, bad)
	t.Logf("%d rows", rows)
}

func TestSkippedTestsAreTold(t *testing.T) {
	log := `1/5 Test: c_here
ok first (1 ms)
skipped here: a part of this case
ok second (1 ms)
Test Passed.
2/5 Test: c_absent
skipped: no name server
Test Passed.
3/5 Test: c_broken
skipped: a part
ok first (1 ms)
Test Failed.
4/5 Test: c_whole
Test Passed.
5/5 Test: c_silent
Test Failed.`
	r := ran{map[string]bool{}, map[string]string{}}
	r.ctests(strings.Split(log, "\n"))
	var bad []string
	if reason, ok := r.skip("c_absent:any"); !ok || reason != "no name server" || len(r.skipped) != 2 {
		bad = append(bad, fmt.Sprint("skipped: ", r.skipped))
	}
	if _, ok := r.skip("c_here:second"); ok || r.skipped["c_here:here"] == "" {
		bad = append(bad, "a case that is skipped is not told from others")
	}
	if !r.passed["c_here:second"] || !r.passed["c_whole"] || len(r.passed) != 4 {
		bad = append(bad, fmt.Sprint("passed: ", r.passed))
	}
	report(t, bad)
}

func TestEveryFunctionHasARow(t *testing.T) {
	p := pages(t, "doc/conformance.md")[0]
	var bad []string
	for f := range declarations(t) {
		if !strings.Contains(p.text, "| `"+f+"` |") {
			bad = append(bad, p.name+": no row for "+f)
		}
	}
	report(t, bad)
}
