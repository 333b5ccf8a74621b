// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/zlink/zlink/core/admin"
)

// server answers every line with a report.
func server(t *testing.T, r admin.Report) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stats")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for buf := make([]byte, 64); ; {
					if _, err := c.Read(buf); err != nil {
						return
					}
					_, _ = c.Write(append(text, '\n'))
				}
			}()
		}
	}()
	return path
}

// metrics is what Prometheus gets.
func metrics(t *testing.T, files ...string) string {
	t.Helper()
	s := httptest.NewServer(handler(files))
	defer s.Close()
	answer, err := s.Client().Get(s.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		t.Fatal(answer.Status, err, string(text))
	}
	return string(text)
}

// TestStart follows the link of the first page, and asks for one that is not there.
func TestStart(t *testing.T) {
	s := httptest.NewServer(handler([]string{example(t)}))
	defer s.Close()
	get := func(path string) (code int, text string) {
		answer, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		all, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(all)
	}
	_, text := get("/")
	_, rest, found := strings.Cut(text, `href="`)
	path, _, _ := strings.Cut(rest, `"`)
	if !found {
		t.Fatal("no link in ", text)
	}
	if code, text := get(path); code != 200 || !strings.Contains(text, "zlink_up") {
		t.Error(path, code, text)
	}
	if code, _ := get("/other"); code != 404 {
		t.Error("/other", code)
	}
}

func example(t *testing.T) string {
	return server(t, admin.Report{Version: admin.Version,
		Memory: admin.Memory{Resident: 1000}, Drivers: []admin.Driver{{Connections: 3, Owing: true}},
		Slowest: []admin.Peer{{BytesQueued: 77}},
		Sockets: []admin.Socket{{ID: 4, Connections: 3, MsgsIn: 12, Reasons: map[string]uint64{"idle": 5},
			Endpoints: []admin.Endpoint{{Kind: "listen", Text: "tcp://\xff\"a\n"}}}, {ID: 5}}})
}

func TestMetrics(t *testing.T) {
	file := example(t)
	gone := filepath.Join(t.TempDir(), "gone")
	text := metrics(t, file, gone)
	for _, want := range []string{
		`zlink_up{file="` + file + `"} 1`,
		`zlink_up{file="` + gone + `"} 0`,
		`zlink_connections{endpoint="tcp://�\"a\n",file="` + file + `",socket="4"} 3`,
		`zlink_received_messages_total{endpoint="",file="` + file + `",socket="5"} 0`,
		`zlink_ended_total{endpoint="tcp://�\"a\n",file="` + file + `",reason="idle",socket="4"} 5`,
		`zlink_longest_queue_bytes{file="` + file + `"} 77`,
		`zlink_driver_owing{driver="0",file="` + file + `"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
}

// TestTwoScrapes: a scrape that waits for a silent server keeps no other one from its answer.
func TestTwoScrapes(t *testing.T) {
	silent := filepath.Join(t.TempDir(), "silent")
	l, err := net.Listen("unix", silent)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newCollector([]string{silent})
	answers := make(chan prometheus.Metric, 10)
	for range 2 {
		go c.Collect(answers)
	}
	var asked []net.Conn
	for range 2 {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		asked = append(asked, conn)
	}
	text := make([]byte, 64)
	if _, err := asked[0].Read(text); err != nil {
		t.Fatal(err)
	}
	_ = asked[0].SetReadDeadline(time.Now())
	if _, err := asked[0].Read(text); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first scrape has ended when the second asks: %v", err)
	}
}

// TestImpossibleReport: a server that names a socket twice costs the others nothing.
func TestImpossibleReport(t *testing.T) {
	bad := server(t, admin.Report{Version: admin.Version, Sockets: []admin.Socket{{ID: 1}, {ID: 1}}})
	file := example(t)
	text := metrics(t, bad, file)
	if want := `file="` + file + `",socket="4"} 3`; !strings.Contains(text, want+"\n") {
		t.Errorf("no line %s in\n%s", want, text)
	}
}

func TestFilesThatAreNoLabels(t *testing.T) {
	for _, files := range [][]string{{"a", "b", "a"}, {"a\xff"}} {
		if checkFiles(files) == nil {
			t.Errorf("%q pass", files)
		}
	}
	if err := checkFiles([]string{"a", "b"}); err != nil {
		t.Error(err)
	}
}

// TestNames: dashboard, alerts and documents name only what there is, and the document all of it.
func TestNames(t *testing.T) {
	names := regexp.MustCompile(`\bzlink_[a-z_]+\b`)
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (zlink_\w+) `).FindAllStringSubmatch(metrics(t, example(t)), -1) {
		there[m[1]] = true
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	text, err := os.ReadFile("dashboard.json")
	if err == nil {
		err = json.Unmarshal(text, &dashboard)
	}
	if err != nil || len(dashboard.Panels) == 0 {
		t.Fatal("dashboard.json: ", err)
	}
	used := ""
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			if !names.MatchString(target.Expr) {
				t.Errorf("dashboard.json: %q names nothing", target.Expr)
			}
			used += target.Expr + "\n"
		}
	}
	alerts, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ +expr: (.*)`).FindAllStringSubmatch(string(alerts), -1) {
		used += m[1] + "\n"
	}
	for _, name := range names.FindAllString(used, -1) {
		if !there[name] {
			t.Errorf("the exporter has no %s", name)
		}
	}
	document, err := os.ReadFile("../../doc/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range there {
		if !strings.Contains(string(document), "`"+name+"`") {
			t.Errorf("doc/operate.md does not tell of %s", name)
		}
	}
}

func TestAlertsAreRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("not run here: there is no promtool to check alerts.yml")
	}
	if out, err := exec.Command(promtool, "check", "rules", "alerts.yml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
