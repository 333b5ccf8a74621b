// SPDX-License-Identifier: MPL-2.0

package sockets

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
)

// Level is how much a log tells (ZLINK_LOG_*).
type Level int32

// A level includes those before it.
const (
	LogNone    Level = 0
	LogError   Level = 1 // an endpoint or a descriptor cannot be had
	LogWarning Level = 2 // failed handshakes, limits, connections that ended badly
	LogInfo    Level = 3 // connections, listeners
	LogDebug   Level = 4 // each step of a connection
)

const (
	logLines  = 100 // in a logPeriod; the rest is counted
	logPeriod = time.Second
)

// LogRecord is one line of the log. What is not known is "" or 0.
type LogRecord struct {
	Level         Level
	What          string
	Local, Remote string // endpoints
	Reason        string // why a connection ended: Cause.Name
	Errno         errno.Errno
	Detail        string
	Suppressed    uint64 // this record stands for so many others, which were too many
}

// String returns the record as one line, without its end.
func (r LogRecord) String() string {
	var b strings.Builder
	b.WriteString(r.What)
	for _, part := range []struct{ key, value string }{{"local", r.Local}, {"remote", r.Remote}, {"reason", r.Reason}} {
		if part.value != "" {
			b.WriteString(" " + part.key + "=" + part.value)
		}
	}
	if r.Errno != 0 {
		b.WriteString(" errno=" + strconv.Itoa(int(r.Errno)))
	}
	if r.Suppressed != 0 {
		b.WriteString(" lines=" + strconv.FormatUint(r.Suppressed, 10))
	}
	if r.Detail != "" {
		b.WriteString(": " + r.Detail)
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f { // of a peer; one line stays one line
			return '?'
		}
		return c
	}, b.String())
}

// logLevel is that of the log; drivers read it where they would tell a monitor something.
var logLevel atomic.Int32

// Logs reports whether there is a log.
func Logs() bool { return logLevel.Load() != int32(LogNone) }

// logger passes records to a function, on a goroutine of its own: whoever has something to tell
// never waits for the function.
type logger struct {
	mu      sync.Mutex
	call    func(LogRecord)
	queue   []LogRecord // at most logLines of a period, and those of the one before
	used    int         // lines of this period
	began   time.Time   // the period
	left    uint64      // lines that were too many, and not told of yet
	busy    bool        // call is running
	calls   uint64      // that have returned
	idle    *sync.Cond
	wake    chan struct{}
	started bool
}

var theLog = newLogger()

func newLogger() *logger {
	l := &logger{wake: make(chan struct{}, 1)}
	l.idle = sync.NewCond(&l.mu)
	return l
}

// SetLog has call get what happens on all sockets of the process, up to a level, one record at a time
// and on one goroutine. It holds no lock meanwhile, so call may use sockets, but not SetLog. At most 100
// lines a second come; a record tells how many more there were. nil or LogNone ends it. SetLog waits
// until a running call of the function before has returned.
func SetLog(level Level, call func(LogRecord)) {
	if call == nil || level <= LogNone {
		level, call = LogNone, nil
	}
	l := theLog
	l.mu.Lock()
	defer l.mu.Unlock()
	logLevel.Store(int32(min(level, LogDebug)))
	l.call, l.queue, l.left, l.used = call, nil, 0, 0
	if call != nil && !l.started {
		l.started = true
		go l.run()
	}
	until := l.calls
	if l.busy {
		until++
	}
	for l.calls < until {
		l.idle.Wait()
	}
}

// SetLogger is SetLog for a logger of log/slog, whose handler says up to which level. nil ends it.
func SetLogger(to *slog.Logger) {
	if to == nil {
		SetLog(LogNone, nil)
		return
	}
	level, ctx := LogNone, context.Background()
	for l := LogError; l <= LogDebug && to.Enabled(ctx, slogLevels[l]); l++ {
		level = l
	}
	SetLog(level, func(r LogRecord) {
		var attrs []slog.Attr
		for _, part := range []struct{ key, value string }{{"local", r.Local}, {"remote", r.Remote},
			{"reason", r.Reason}, {"detail", r.Detail}} {
			if part.value != "" {
				attrs = append(attrs, slog.String(part.key, part.value))
			}
		}
		if r.Errno != 0 {
			attrs = append(attrs, slog.Any("error", r.Errno))
		}
		if r.Suppressed != 0 {
			attrs = append(attrs, slog.Uint64("lines", r.Suppressed))
		}
		to.LogAttrs(ctx, slogLevels[r.Level], r.What, attrs...)
	})
}

var slogLevels = [...]slog.Level{LogError: slog.LevelError, LogWarning: slog.LevelWarn, LogInfo: slog.LevelInfo, LogDebug: slog.LevelDebug}

// put queues a record. Any thread; it never waits for the log's function.
func (l *logger) put(r LogRecord) {
	l.mu.Lock()
	l.turn(time.Now())
	if l.call != nil {
		if l.used == logLines || len(l.queue) >= 2*logLines {
			l.left++
		} else {
			l.used++
			l.queue = append(l.queue, r)
		}
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// turn begins a new period if the old one is over, with a word about what was left out of it. mu is held.
func (l *logger) turn(now time.Time) {
	if now.Sub(l.began) < logPeriod {
		return
	}
	l.began, l.used = now, 0
	if l.left > 0 && l.call != nil && len(l.queue) < 2*logLines {
		l.queue = append(l.queue, LogRecord{Level: LogError, What: "too many lines, some are left out", Suppressed: l.left})
		l.left = 0
	}
}

func (l *logger) run() {
	for {
		l.deliver()
		l.mu.Lock()
		waits := l.left > 0
		l.mu.Unlock()
		if !waits {
			<-l.wake
			continue
		}
		select {
		case <-l.wake:
			time.Sleep(logPeriod / 100) // there is a flood; the queue has room
		case <-time.After(logPeriod / 10):
		}
	}
}

// deliver passes on what is queued.
func (l *logger) deliver() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(time.Now())
	for len(l.queue) > 0 && l.call != nil {
		r, call := l.queue[0], l.call
		l.queue = l.queue[1:]
		l.busy = true
		l.mu.Unlock()
		call(r)
		l.mu.Lock()
		l.busy = false
		l.calls++
		l.idle.Broadcast()
	}
}

// logEvent passes an event on if the level includes it.
func logEvent(e engine.Event) {
	if r := recordOf(e); r.Level <= Level(logLevel.Load()) {
		theLog.put(r)
	}
}

// logged is the level and the name of each kind of event.
var logged = map[engine.EventKind]struct {
	level Level
	what  string
}{
	engine.EventConnected:         {LogDebug, "dialled"},
	engine.EventConnectDelayed:    {LogDebug, "dialling"},
	engine.EventConnectRetried:    {LogWarning, "dialling failed, and will be tried again"},
	engine.EventListening:         {LogInfo, "listening"},
	engine.EventBindFailed:        {LogError, "binding failed"},
	engine.EventAccepted:          {LogDebug, "accepted"},
	engine.EventAcceptFailed:      {LogError, "accepting failed"},
	engine.EventClosed:            {LogDebug, "descriptor closed"},
	engine.EventDisconnected:      {LogInfo, "disconnected"},
	engine.EventReady:             {LogInfo, "connected"},
	engine.EventWritable:          {LogDebug, "writable again"},
	engine.EventDrained:           {LogInfo, "drained"},
	engine.EventHandshakeFailed:   {LogWarning, "handshake failed"},
	engine.EventHandshakeProtocol: {LogWarning, "handshake failed"},
	engine.EventHandshakeAuth:     {LogWarning, "handshake failed"},
}

// usual are the reasons of ends that need no attention.
var usual = map[engine.Cause]bool{engine.CausePeerClosed: true, engine.CauseClosedHere: true, engine.CauseAbortedHere: true,
	engine.CauseDrained: true, engine.CauseContext: true, engine.CauseUnknown: true}

func recordOf(e engine.Event) LogRecord {
	kind, ok := logged[e.Kind]
	if !ok {
		kind.level, kind.what = LogDebug, "event "+strconv.FormatUint(uint64(e.Kind), 16)
	}
	r := LogRecord{Level: kind.level, What: kind.what, Local: e.Local, Remote: e.Remote, Detail: shortened(e.Detail)}
	switch e.Kind {
	case engine.EventDisconnected:
		r.Reason = e.Cause.Name()
		if !usual[e.Cause] {
			r.Level = LogWarning
		}
	case engine.EventAcceptFailed:
		r.Errno = errno.Errno(e.Value)
		if e.Cause != engine.CauseUnknown { // a limit, or a list of addresses
			r.Level, r.What, r.Reason = LogWarning, "turned away", e.Cause.Name()
		}
	case engine.EventBindFailed, engine.EventHandshakeFailed, engine.EventHandshakeAuth:
		r.Errno = errno.Errno(e.Value)
	}
	return r
}
