// SPDX-License-Identifier: MPL-2.0

package sockets

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
)

// heard waits until a function has been called so often.
func heard(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain: ", what)
		}
	}
}

func TestLog(t *testing.T) {
	defer SetLog(LogNone, nil)
	var mu sync.Mutex
	var all []LogRecord
	record := func(r LogRecord) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, r)
	}
	records := func() []LogRecord {
		mu.Lock()
		defer mu.Unlock()
		return append([]LogRecord(nil), all...)
	}
	var nobody Monitors
	Convey("Events become records up to the level, and no more", t, func() {
		So(nobody.Watched(), ShouldBeFalse)
		SetLog(LogWarning, record)
		So(nobody.Watched(), ShouldBeTrue)
		nobody.Observe(engine.Event{Kind: engine.EventReady})
		nobody.Observe(engine.Event{Kind: engine.EventDisconnected, Cause: engine.CausePeerClosed})
		nobody.Observe(engine.Event{Kind: engine.EventDisconnected, Cause: engine.CauseRate, Remote: "tcp://a:1", Detail: "too\nfast"})
		nobody.Observe(engine.Event{Kind: engine.EventBindFailed, Value: uint64(errno.EADDRINUSE), Local: "tcp://b:2"})
		nobody.Observe(engine.Event{Kind: engine.EventAcceptFailed, Value: uint64(errno.EACCES), Cause: engine.CauseLimit})
		heard(t, "three records", func() bool { return len(records()) == 3 })
		r := records()
		So(r[0].Level, ShouldEqual, LogWarning)
		So(r[0].String(), ShouldEqual, "disconnected remote=tcp://a:1 reason=rate: too?fast")
		So(r[1].Level, ShouldEqual, LogError)
		So(r[1].String(), ShouldStartWith, "binding failed local=tcp://b:2 errno=")
		So(r[2].What, ShouldEqual, "turned away")
		So(r[2].Level, ShouldEqual, LogWarning)
	})
	Convey("A function that takes its time holds up nobody, and what is too much is counted", t, func() {
		const events = 5 * logLines
		free, first := make(chan struct{}), make(chan struct{})
		var once sync.Once
		all = nil
		SetLog(LogError, func(r LogRecord) {
			once.Do(func() { close(first) })
			<-free
			record(r)
		})
		for range events {
			nobody.Observe(engine.Event{Kind: engine.EventBindFailed})
		}
		<-first
		replaced := make(chan struct{})
		close(free)
		sum := func() (n uint64) {
			for _, r := range records() {
				n += max(1, r.Suppressed)
			}
			return n
		}
		heard(t, "all records", func() bool { return sum() == events })
		So(len(records()), ShouldBeLessThan, events)
		go func() {
			SetLog(LogNone, nil)
			close(replaced)
		}()
		<-replaced
		nobody.Observe(engine.Event{Kind: engine.EventBindFailed})
		So(sum(), ShouldEqual, events)
		So(nobody.Watched(), ShouldBeFalse)
	})
	Convey("A logger of slog gets levels and attributes", t, func() {
		var out bytes.Buffer
		SetLogger(slog.New(slog.NewTextHandler(&locked{w: &out, mu: &mu}, &slog.HandlerOptions{Level: slog.LevelWarn})))
		nobody.Observe(engine.Event{Kind: engine.EventReady})
		nobody.Observe(engine.Event{Kind: engine.EventHandshakeFailed, Value: uint64(errno.EPROTO), Remote: "tcp://c:3", Detail: "no hello"})
		text := func() string {
			mu.Lock()
			defer mu.Unlock()
			return out.String()
		}
		heard(t, "a line", func() bool { return strings.HasSuffix(text(), "\n") })
		So(text(), ShouldContainSubstring, `level=WARN msg="handshake failed" remote=tcp://c:3 detail="no hello" error=`)
		So(text(), ShouldNotContainSubstring, "connected")
		SetLogger(nil)
		So(Logs(), ShouldBeFalse)
	})
}

// locked is a writer that a test may look behind.
type locked struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
