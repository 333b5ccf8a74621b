// SPDX-License-Identifier: MPL-2.0

package sockets

import (
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/wait"
)

// MonitorEvents is the number of events that a monitor keeps for a slow reader.
const MonitorEvents = 4096

// EventLost is the kind of an event whose value counts the events before it that were
// lost because the reader was slow.
const EventLost engine.EventKind = 0

// Monitor delivers the events of a socket to one reading thread. It belongs to its reader
// and outlives the socket, whose last event is EventStopped. It also outlives the context:
// Term does not wait for monitors.
type Monitor struct {
	group *Monitors
	ctx   *core.Context
	kinds engine.EventKind // bits of the wanted kinds

	readers wait.List

	mu         sync.Mutex
	events     []engine.Event // oldest first
	lost       uint64
	cause      engine.Cause // of the event that was taken last
	stopped    bool         // EventStopped is queued; no other event follows
	over       bool         // the context was shut down
	closed     bool
	rcvTimeout int32        // ms; -1: no limit
	linger     int32        // stored
	fd         *wait.Waiter // for other event loops; nil until somebody asks for it
}

// Monitors are the monitors of one socket. The zero value has none.
type Monitors struct {
	mu      sync.Mutex
	list    []*Monitor
	watched atomic.Bool
}

// Open returns a new monitor of EventStopped and the events whose bit is in kinds.
func (s *Monitors) Open(ctx *core.Context, kinds engine.EventKind) (*Monitor, error) {
	m := &Monitor{group: s, ctx: ctx, kinds: kinds | engine.EventStopped, rcvTimeout: -1, linger: -1}
	if err := ctx.AddMonitor((*terminated)(m)); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, m)
	s.watched.Store(true)
	return m, nil
}

// Watched reports whether there is any monitor, or a log.
func (s *Monitors) Watched() bool { return s.watched.Load() || Logs() }

// DetailMax is the longest Detail of an event, in bytes. Strangers can influence it, by
// names in their certificates and by answers of their servers, and a monitor keeps
// thousands of events.
const DetailMax = 508

// shortened returns a detail cut to DetailMax.
func shortened(detail string) string {
	if len(detail) <= DetailMax {
		return detail
	}
	end := DetailMax - len("...")
	for end > 0 && !utf8.RuneStart(detail[end]) {
		end--
	}
	return detail[:end] + "..."
}

// Observe passes an event to the monitors, and to the log.
func (s *Monitors) Observe(e engine.Event) {
	if Logs() {
		logEvent(e)
	}
	e.Detail = shortened(e.Detail)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.list {
		m.put(e)
	}
}

// Stop queues the last event in every monitor.
func (s *Monitors) Stop() {
	s.mu.Lock()
	list := s.list
	s.list = nil
	s.watched.Store(false)
	s.mu.Unlock()
	for _, m := range list {
		m.put(engine.Event{Kind: engine.EventStopped})
	}
}

func (s *Monitors) remove(m *Monitor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.list, m); at >= 0 {
		s.list = slices.Delete(s.list, at, at+1)
	}
	s.watched.Store(len(s.list) > 0)
}

// terminated is a monitor as the context sees it.
type terminated Monitor

// Terminate makes receives fail with ETERM: those that are blocked, and later ones that
// find no event. Any thread.
func (t *terminated) Terminate() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	t.readers.Signal()
}

func (m *Monitor) put(e engine.Event) {
	if m.kinds&e.Kind == 0 {
		return
	}
	m.mu.Lock()
	if !m.stopped && !m.closed {
		m.stopped = e.Kind == engine.EventStopped
		if len(m.events) == MonitorEvents {
			m.events = m.events[1:]
			m.lost++
		}
		m.events = append(m.events, e)
	}
	m.mu.Unlock()
	m.readers.Signal()
}

// take returns the next event or why there is none: EAGAIN, ENOTSOCK after Close, ETERM
// after the context's shutdown. Queued events come first, so that the reader learns how
// the connections ended.
func (m *Monitor) take() (engine.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return engine.Event{}, errno.ENOTSOCK
	case m.lost > 0:
		e := engine.Event{Kind: EventLost, Value: m.lost}
		m.lost, m.cause = 0, engine.CauseUnknown
		return e, nil
	case len(m.events) > 0:
	case m.over:
		return engine.Event{}, errno.ETERM
	default:
		return engine.Event{}, errno.EAGAIN
	}
	e := m.events[0]
	m.cause = e.Cause
	m.events[0] = engine.Event{}
	if m.events = m.events[1:]; len(m.events) == 0 {
		m.events = nil
	}
	return e, nil
}

// Recv returns the next event. It waits for one unless dontWait is set, and for
// OptRcvTimeo at most (EAGAIN). After EventStopped only the end of the context ends the
// wait. EINTR: a signal handler ran. ETERM: the context was shut down and no event is
// left.
func (m *Monitor) Recv(dontWait bool) (engine.Event, error) {
	w := wait.Get()
	defer wait.Put(w)
	m.readers.Add(w)
	defer m.readers.Remove(w)
	deadline := m.deadline()
	for {
		e, err := m.take()
		if err != errno.EAGAIN || dontWait {
			return e, err
		}
		if err := w.Wait(deadline); err != nil {
			return engine.Event{}, err
		}
		w.Reset()
	}
}

// Cause returns that of the event that Recv returned last.
func (m *Monitor) Cause() engine.Cause {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cause
}

// Close closes the monitor. A second Close returns ENOTSOCK.
func (m *Monitor) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return errno.ENOTSOCK
	}
	m.closed, m.events = true, nil
	fd := m.fd
	m.mu.Unlock()
	if fd != nil {
		m.readers.Remove(fd)
		fd.CloseFd()
	}
	m.readers.Signal()
	m.ctx.RemoveMonitor((*terminated)(m))
	m.group.remove(m)
	return nil
}

// polledMonitor is a monitor as Poll sees it.
type polledMonitor Monitor

// ForPoll is for Poll only.
func (m *Monitor) ForPoll() Polled { return (*polledMonitor)(m) }

// Pin always succeeds: a monitor's memory is never reused.
func (p *polledMonitor) Pin() bool { return true }
func (p *polledMonitor) Unpin()    {}

func (p *polledMonitor) Readers() *wait.List { return &p.readers }
func (p *polledMonitor) State() error        { return (*Monitor)(p).state() }

// Readable ignores mark: every event signals the readers anyway.
func (p *polledMonitor) Readable(bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost > 0 || len(p.events) > 0
}

// Writable is always false: a monitor is only read.
func (p *polledMonitor) Writable() bool { return false }

func (m *Monitor) state() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return errno.ENOTSOCK
	case m.over && m.lost == 0 && len(m.events) == 0:
		return errno.ETERM
	}
	return nil
}
