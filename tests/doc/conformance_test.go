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

// doc/conformance.md names tests in backquotes: "c_poll:timeouts" is a case of
// a ctest, "c_header" a ctest without cases, and
// "core/sockets/stream:TestPoll" a Go test.

var (
	cTest     = regexp.MustCompile("`(c_\\w+(?::[\\w-]+)?)`")
	goTest    = regexp.MustCompile("`(core[/\\w]*:Test\\w+)`")
	ctestName = regexp.MustCompile(`^\d+/\d+ Test: (\w+)$`)
	casePass  = regexp.MustCompile(`^ok ([\w-]+)`)
	goPass    = regexp.MustCompile(`^--- PASS: (Test\w+) `)
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

// passed returns the tests that ran and passed, as the page names them.
func passed(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	program, cases := "", []string{}
	for _, line := range lines(t, "build/Testing/Temporary/LastTest.log") {
		switch {
		case ctestName.MatchString(line):
			program, cases = ctestName.FindStringSubmatch(line)[1], nil
		case casePass.MatchString(line):
			cases = append(cases, casePass.FindStringSubmatch(line)[1])
		case line == "Test Passed.":
			all[program] = true
			for _, c := range cases {
				all[program+":"+c] = true
			}
		}
	}
	tests := []string{}
	for _, line := range lines(t, "build/go-test.log") {
		if m := goPass.FindStringSubmatch(line); m != nil {
			tests = append(tests, m[1])
		}
		if m := goPackage.FindStringSubmatch(line); m != nil {
			for _, test := range tests {
				all[m[1]+":"+test] = true
			}
			tests = nil
		}
	}
	return all
}

func TestRulesHaveTestsThatPassed(t *testing.T) {
	passed := passed(t)
	p := pages(t, "doc/conformance.md")[0]
	var bad []string
	rows := 0
	for i, line := range strings.Split(p.text, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| rule") || strings.HasPrefix(line, "| function") {
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
			if !passed[m[1]] {
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
