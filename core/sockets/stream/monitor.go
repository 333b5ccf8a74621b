// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"sync"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/wait"
)

// monitorEvents is how many events a monitor keeps for a reader that is slow.
const monitorEvents = 4096

// EventLost is the kind of the event that says, in its value, how many events
// before it were lost because the reader was slow.
const EventLost engine.EventKind = 0

// Monitor is the events of a socket, for one reading thread. It belongs to its
// reader and outlives the socket, whose last event is EventStopped, and the
// context, whose Term does not wait for it.
type Monitor struct {
	socket *Socket
	kinds  engine.EventKind // bits of the wanted kinds

	readers wait.List

	mu         sync.Mutex
	events     []engine.Event // oldest first
	lost       uint64
	stopped    bool // EventStopped is queued: no other follows
	terminated bool
	closed     bool
	rcvTimeout int32        // ms; -1: no limit
	linger     int32        // stored
	fd         *wait.Waiter // for others' event loops; nil: not asked for
}

// Monitor returns a new monitor of the socket's events whose bit is in kinds,
// to be ended with Close. EventStopped always comes. Any number of monitors may
// watch a socket.
func (k *Socket) Monitor(kinds engine.EventKind) (*Monitor, error) {
	if err := k.enter(); err != nil {
		return nil, err
	}
	defer k.leave()
	m := &Monitor{socket: k, kinds: kinds | engine.EventStopped, rcvTimeout: -1, linger: -1}
	if err := k.ctx.AddMonitor(m); err != nil {
		return nil, err
	}
	k.monitors.Lock()
	defer k.monitors.Unlock()
	k.monitors.list = append(k.monitors.list, m)
	k.observed.Store(true)
	return m, nil
}

// monitors are who watches a socket.
type monitors struct {
	sync.Mutex
	list []*Monitor
}

// observe gives an event to the monitors.
func (k *Socket) observe(e engine.Event) {
	k.monitors.Lock()
	defer k.monitors.Unlock()
	for _, m := range k.monitors.list {
		m.put(e)
	}
}

// stopMonitors ends the monitors with their last event.
func (k *Socket) stopMonitors() {
	k.monitors.Lock()
	list := k.monitors.list
	k.monitors.list = nil
	k.observed.Store(false)
	k.monitors.Unlock()
	for _, m := range list {
		m.put(engine.Event{Kind: engine.EventStopped})
	}
}

// Terminate makes blocked receives, and later ones that find no event, fail with
// ETERM. Any thread.
func (m *Monitor) Terminate() {
	m.mu.Lock()
	m.terminated = true
	m.mu.Unlock()
	m.readers.Signal()
}

func (m *Monitor) put(e engine.Event) {
	if m.kinds&e.Kind == 0 {
		return
	}
	m.mu.Lock()
	if !m.stopped && !m.closed {
		m.stopped = e.Kind == engine.EventStopped
		if len(m.events) == monitorEvents {
			m.events = m.events[1:]
			m.lost++
		}
		m.events = append(m.events, e)
	}
	m.mu.Unlock()
	m.readers.Signal()
}

// take returns the next event, or says why there is none: EAGAIN, ENOTSOCK
// after Close, ETERM after the context's shutdown. What is queued comes first,
// so that the reader learns how the connections ended.
func (m *Monitor) take() (engine.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return engine.Event{}, errno.ENOTSOCK
	case m.lost > 0:
		e := engine.Event{Kind: EventLost, Value: m.lost}
		m.lost = 0
		return e, nil
	case len(m.events) > 0:
	case m.terminated:
		return engine.Event{}, errno.ETERM
	default:
		return engine.Event{}, errno.EAGAIN
	}
	e := m.events[0]
	m.events[0] = engine.Event{}
	if m.events = m.events[1:]; len(m.events) == 0 {
		m.events = nil
	}
	return e, nil
}

// Recv returns the next event, waiting for it unless dontWait is set or
// OptRcvTimeo is over (EAGAIN).
// After EventStopped only the context's end ends the wait. EINTR: a signal
// handler ran. ETERM: the context was shut down and no event is left.
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

// Close ends the monitor. A second Close gives ENOTSOCK.
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
	k := m.socket
	k.ctx.RemoveMonitor(m)
	k.monitors.Lock()
	defer k.monitors.Unlock()
	for i, other := range k.monitors.list {
		if other == m {
			k.monitors.list = append(k.monitors.list[:i:i], k.monitors.list[i+1:]...)
			break
		}
	}
	k.observed.Store(len(k.monitors.list) > 0)
	return nil
}

// pollPin and pollLeave: nothing of a monitor is used again.
func (m *Monitor) pollPin() bool { return true }
func (m *Monitor) pollLeave()    {}

// pollReaders, pollState and pollReadable are what Poll asks.
func (m *Monitor) pollReaders() *wait.List { return &m.readers }

func (m *Monitor) pollState() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return errno.ENOTSOCK
	case m.terminated && m.lost == 0 && len(m.events) == 0:
		return errno.ETERM
	}
	return nil
}

// pollReadable needs no mark: every event signals the readers.
func (m *Monitor) pollReadable(bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost > 0 || len(m.events) > 0
}

// pollWritable: a monitor is only read.
func (m *Monitor) pollWritable() bool { return false }
