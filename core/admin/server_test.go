// SPDX-License-Identifier: MPL-2.0

package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/sys"
)

// patience is how long a test waits for something that must happen.
const patience = 30 * time.Second

// serve returns a server of a report, and its path.
func serve(t *testing.T, report func() Report) (*Server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := sys.Copy(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	s, err := Serve(fd, report)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, path
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestServer(t *testing.T) {
	var made atomic.Int64
	server, path := serve(t, func() Report {
		made.Add(1)
		return Report{PID: 7}
	})
	Convey("Each line gets a line", t, func() {
		c := dial(t, path)
		in := bufio.NewReader(c)
		for _, request := range []string{"stats\nstats\n", "nonsense\n"} {
			_, err := io.WriteString(c, request)
			So(err, ShouldBeNil)
		}
		for _, want := range []string{`"pid":7`, `"pid":7`, `"error":"the only request is: stats"`} {
			text, err := in.ReadString('\n')
			So(err, ShouldBeNil)
			So(text, ShouldStartWith, `{"version":1,`)
			So(text, ShouldContainSubstring, want)
		}
		_ = c.Close()
	})
	Convey("However many questions come, a report is made once in a while", t, func() {
		const questions = 200
		c, begin, before := dial(t, path), time.Now(), made.Load()
		go func() { _, _ = io.WriteString(c, strings.Repeat("stats\n", questions)) }()
		in := bufio.NewReader(c)
		for range questions {
			_, err := in.ReadString('\n')
			So(err, ShouldBeNil)
		}
		So(made.Load()-before, ShouldBeLessThanOrEqualTo, int64(time.Since(begin)/minPause)+2)
		_ = c.Close()
	})
	Convey("A line that does not end closes the connection", t, func() {
		c := dial(t, path)
		_, err := io.WriteString(c, strings.Repeat("x", maxRequest))
		So(err, ShouldBeNil)
		_, err = c.Read(make([]byte, 1))
		So(err, ShouldNotBeNil)
		_ = c.Close()
	})
	Convey("Readers beyond the limit are turned away, and one that leaves makes room", t, func() {
		wait(t, server, 0)
		var all []net.Conn
		for range maxReaders {
			all = append(all, dial(t, path))
		}
		wait(t, server, maxReaders)
		_, err := dial(t, path).Read(make([]byte, 1))
		So(err, ShouldEqual, io.EOF)
		_ = all[0].Close()
		wait(t, server, maxReaders-1)
		client := Client{Path: path, Timeout: patience}
		r, err := client.Ask()
		So(err, ShouldBeNil)
		So(r.PID, ShouldEqual, 7)
		client.Close()
		for _, c := range all {
			_ = c.Close()
		}
		wait(t, server, 0)
	})
}

// wait waits until the server has so many readers.
func wait(t *testing.T, s *Server, readers int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := len(s.readers)
		s.mu.Unlock()
		if n == readers {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d readers, not %d", n, readers)
		}
	}
}

func TestDeafReader(t *testing.T) {
	Convey("A reader that does not read holds up neither the others nor the end", t, func() {
		long := strings.Repeat("x", 4<<20)
		server, path := serve(t, func() Report { return Report{Program: long} })
		deaf := dial(t, path)
		_, err := io.WriteString(deaf, "stats\n")
		So(err, ShouldBeNil)
		client := Client{Path: path, Timeout: patience}
		r, err := client.Ask()
		So(err, ShouldBeNil)
		So(len(r.Program), ShouldEqual, len(long))
		client.Close()
		ended := make(chan struct{})
		go func() {
			server.Close()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("Close waits for the reader")
		}
	})
}

func TestClient(t *testing.T) {
	Convey("A client says what is wrong", t, func() {
		client := Client{Path: filepath.Join(t.TempDir(), "nobody"), Timeout: patience}
		_, err := client.Ask()
		So(err, ShouldNotBeNil)
	})
	Convey("It refuses a report of another version", t, func() {
		path := filepath.Join(t.TempDir(), "other")
		l, err := net.Listen("unix", path)
		So(err, ShouldBeNil)
		go func() {
			for _, answer := range []string{`{"version":2}` + "\n", "rubbish\n"} {
				if c, err := l.Accept(); err == nil {
					_, _ = io.WriteString(c, answer)
					_, _ = c.Read(make([]byte, maxRequest))
					_ = c.Close()
				}
			}
		}()
		client := Client{Path: path, Timeout: patience}
		_, err = client.Ask()
		So(err, ShouldNotBeNil)
		So(err.Error(), ShouldContainSubstring, "version 2")
		_, err = client.Ask()
		So(err, ShouldNotBeNil)
		So(err.Error(), ShouldContainSubstring, "no report")
		_ = l.Close()
	})
	Convey("A rate of a counter that began anew is 0", t, func() {
		So(Rate(5, 25, 2*time.Second), ShouldEqual, 10)
		So(Rate(25, 5, time.Second), ShouldEqual, 0)
		So(Rate(5, 25, 0), ShouldEqual, 0)
	})
}

func TestClientAsksAgain(t *testing.T) {
	report := fmt.Sprintf(`{"version":%d}`, Version) + "\n"
	path := filepath.Join(t.TempDir(), "server")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	came := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came <- c
			_, _ = c.Read(make([]byte, maxRequest))
			_, _ = io.WriteString(c, report)
		}
	}()
	Convey("A server that has begun anew is asked", t, func() {
		client := Client{Path: path, Timeout: patience}
		for range 3 {
			_, err := client.Ask()
			So(err, ShouldBeNil)
			_ = (<-came).Close()
		}
	})
	Convey("One that is silent is asked once", t, func() {
		client := Client{Path: path, Timeout: patience}
		_, err := client.Ask()
		So(err, ShouldBeNil)
		kept := <-came
		client.Timeout = 20 * time.Millisecond
		_, err = client.Ask()
		So(errors.Is(err, os.ErrDeadlineExceeded), ShouldBeTrue)
		So(len(came), ShouldEqual, 0)
		_ = kept.Close()
	})
}
