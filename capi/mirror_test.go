// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

const statsFile = "core/sockets/stream/stats.go"

// withCounter is the source of the counters with one more of them, in front of the last.
func withCounter(t *testing.T) string {
	text, err := os.ReadFile(filepath.Join("..", statsFile))
	So(err, ShouldBeNil)
	before, after, found := strings.Cut(string(text), "\tAbandoned ")
	So(found, ShouldBeTrue)
	return before + "\tAdded uint64\n\tAbandoned " + after
}

func write(path, text string) {
	So(os.MkdirAll(filepath.Dir(path), 0o700), ShouldBeNil)
	So(os.WriteFile(path, []byte(text), 0o600), ShouldBeNil)
}

// goTool runs a command of the Go tool at the top of the module.
func goTool(args ...string) (string, error) {
	c := exec.Command("go", args...)
	c.Dir = ".."
	out, err := c.CombinedOutput()
	return string(out), err
}

// A counter has its place in three structs: of Go, printed, and of zlink.h.
func TestNewCounterStopsTheBuild(t *testing.T) {
	Convey("A counter that is in Go alone stops the build, before it could be stored behind C's struct", t, func() {
		top, err := filepath.Abs("..")
		So(err, ShouldBeNil)
		edited, overlay := filepath.Join(t.TempDir(), "stats.go"), filepath.Join(t.TempDir(), "overlay.json")
		write(edited, withCounter(t))
		replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(top, statsFile): edited}})
		So(err, ShouldBeNil)
		write(overlay, string(replace))
		out, err := goTool("build", "-o", os.DevNull, "-overlay", overlay, "./capi")
		So(err, ShouldNotBeNil)
		So(out, ShouldContainSubstring, "capi/layout.go:")
		So(out, ShouldContainSubstring, "out of bounds")
	})
	Convey("When it was printed, too, zlink.h has to have it", t, func() {
		cc := strings.Fields(os.Getenv("CC"))
		if len(cc) == 0 {
			cc = []string{"gcc"}
		}
		copied := t.TempDir()
		for _, dir := range []string{"core/probe", "core/shm", "core/engine", filepath.Dir(statsFile)} {
			So(os.CopyFS(filepath.Join(copied, dir), os.DirFS(filepath.Join("..", dir))), ShouldBeNil)
		}
		So(os.Mkdir(filepath.Join(copied, "capi"), 0o700), ShouldBeNil)
		compile := func() (string, error) {
			out, err := goTool("run", "./core/shm/print", copied)
			So(out, ShouldBeEmpty)
			So(err, ShouldBeNil)
			args := append(cc[1:], "-std=gnu11", "-fsyntax-only", "-I../include", "-xc", filepath.Join(copied, "capi/types.h"))
			compiled, err := exec.Command(cc[0], args...).CombinedOutput()
			return string(compiled), err
		}
		_, err := compile()
		So(err, ShouldBeNil)
		write(filepath.Join(copied, statsFile), withCounter(t))
		out, err := compile()
		So(err, ShouldNotBeNil)
		So(out, ShouldContainSubstring, "zlink_stream_stats_t.abandoned")
	})
}
