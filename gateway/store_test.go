// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func answerOf(stays bool) string {
	if stays {
		return " stays"
	}
	return " is gone"
}

func TestStores(t *testing.T) {
	Convey("A temporary folder of a dead process goes at the next start; all others stay", t, func() {
		parent := t.TempDir()
		living, dead := must(newStore(parent)), must(newStore(parent))
		noError(os.WriteFile(filepath.Join(dead.path, "data"), nil, 0o600))
		target := t.TempDir()
		noError(os.WriteFile(filepath.Join(target, storeOwner), nil, 0o600))
		others := []string{living.path, filepath.Join(parent, storePrefix+"file"), filepath.Join(parent, storePrefix+"bare"),
			filepath.Join(parent, storePrefix+"link"), filepath.Join(parent, storePrefix+"odd"), filepath.Join(target, storeOwner)}
		noError(os.WriteFile(others[1], nil, 0o600))
		noError(os.Mkdir(others[2], 0o700)) // its process has not locked it yet
		noError(os.Symlink(target, others[3]))
		noError(os.Mkdir(others[4], 0o700))
		noError(os.Symlink(others[5], filepath.Join(others[4], storeOwner)))
		noError(dead.lock.Close()) // as the system does when a process is killed
		next := must(newStore(parent))
		So(there(dead.path), ShouldBeFalse)
		for _, other := range append(others, next.path) {
			So(other+answerOf(there(other)), ShouldEqual, other+" stays")
		}
		next.remove()
		So(there(next.path), ShouldBeFalse)
	})
}

// TestKilledGateway is also the gateway that is killed.
func TestKilledGateway(t *testing.T) {
	const marker = "ZLINK_GATEWAY_TEST_KILLED"
	if os.Getenv(marker) != "" {
		must(Start(small()))
		os.Stdout.WriteString("serves\n")
		select {}
	}
	Convey("What a gateway that was killed has left is gone once another one has started", t, func() {
		temporary := t.TempDir()
		c := exec.Command(os.Args[0], "-test.run=^TestKilledGateway$")
		c.Env = append(os.Environ(), marker+"=1", "TMPDIR="+temporary)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out := must(c.StdoutPipe())
		noError(c.Start())
		lines := bufio.NewScanner(out)
		for lines.Scan() && !strings.HasSuffix(lines.Text(), "serves") {
		}
		left := must(filepath.Glob(filepath.Join(temporary, storePrefix+"*")))
		So(left, ShouldHaveLength, 1)
		t.Setenv("TMPDIR", temporary)
		beside := must(Start(small())) // the first one still lives
		So(there(left[0]), ShouldBeTrue)
		So(c.Process.Kill(), ShouldBeNil)
		_ = c.Wait()
		So(there(left[0]), ShouldBeTrue)
		next := must(Start(small()))
		So(there(left[0]), ShouldBeFalse)
		So(must(filepath.Glob(filepath.Join(temporary, storePrefix+"*"))), ShouldHaveLength, 2)
		So(beside.Close(), ShouldBeNil)
		So(next.Close(), ShouldBeNil)
		So(must(os.ReadDir(temporary)), ShouldBeEmpty)
	})
}
