// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

// TestMain: this program is the lab, too, when it is asked to be. That saves linking it once more.
func TestMain(m *testing.M) {
	if os.Getenv("LAB_ITSELF") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// gatewayProgram is the one that build.sh names, or is made here.
func gatewayProgram(t *testing.T) string {
	t.Helper()
	if program := os.Getenv("ZLINK_GATEWAY"); program != "" {
		return program
	}
	program := filepath.Join(t.TempDir(), "zlink-gateway")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/zlink-gateway").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// TestSmallCluster is the lab with few clients, on this machine's own addresses.
func TestSmallCluster(t *testing.T) {
	fronts := "1"
	if !has("haproxy") {
		fronts = "0"
		fmt.Println("not run here: HAProxy in front of gateways: it is not installed")
	}
	fmt.Println("not run here: cables that are pulled: that takes network namespaces, which ./build.sh lab makes")
	folder := t.TempDir()
	command := exec.Command(os.Args[0], "run", "--out", folder, "--gateway", gatewayProgram(t),
		"--haproxies", fronts, "--gateways", "2", "--nats", "1", "--clients", "100", "--interval", "300ms", "--drain", "1s",
		"--compare", "10", "--length", "200ms", "--rest", "200ms", "--away", "500ms",
		"--events", "kill -9 of a gateway,kill -9 of a back end,rolling,reload")
	command.Env = append(os.Environ(), "LAB_ITSELF=yes")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	Convey("Every loss is told, and the report has what happened", t, func() {
		So(string(out), ShouldContainSubstring, "no message came twice, and every loss was told")
		page, err := os.ReadFile(filepath.Join(folder, "report.html"))
		So(err, ShouldBeNil)
		So(string(page), ShouldContainSubstring, "rolling restart of all gateways")
		So(string(page), ShouldContainSubstring, "gateway to NATS&#39; own WebSocket")
	})
}

// TestNothingIsLeft: the namespaces end with the script, even when it is killed.
func TestNothingIsLeft(t *testing.T) {
	if os.Getuid() != 0 {
		notRun(t, "that nothing is left of namespaces: only root can make them")
	}
	folder := t.TempDir()
	program := filepath.Join(folder, "lab")
	text := "#!/bin/sh\nip netns add zlink-left && ip link add lab0 type bridge && touch '" + folder + "/there' && sleep 600\n"
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("./lab.sh", program)
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = command.Wait(); close(ended) }()
	there := func() bool {
		_, err := os.Stat(filepath.Join(folder, "there"))
		return err == nil
	}
	over := func() bool {
		select {
		case <-ended:
			return true
		default:
			return there()
		}
	}
	if err := until(20*time.Second, over); err != nil || !there() {
		if strings.Contains(said.String(), "SKIP") {
			notRun(t, "that nothing is left of namespaces: "+said.String())
		}
		t.Fatalf("%v: %s", err, said.String())
	}
	Convey("No process, name or interface is left", t, func() {
		So(syscall.Kill(command.Process.Pid, syscall.SIGKILL), ShouldBeNil)
		So(until(20*time.Second, func() bool { return len(processesOf(program)) == 0 }), ShouldBeNil)
		names, _ := os.ReadDir("/run/netns")
		So(fmt.Sprint(names), ShouldNotContainSubstring, "zlink-left")
		_, err := os.Stat("/sys/class/net/lab0")
		So(os.IsNotExist(err), ShouldBeTrue)
	})
}

func notRun(t *testing.T, why string) {
	t.Helper()
	fmt.Println("not run here: " + why)
	t.SkipNow()
}

// processesOf are those whose command line has this word.
func processesOf(word string) (all []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), word) {
			all = append(all, file)
		}
	}
	return all
}
