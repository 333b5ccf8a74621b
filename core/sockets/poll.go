// SPDX-License-Identifier: MPL-2.0

package sockets

import (
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
	"github.com/zlink/zlink/core/wait"
)

// Bits of OptEvents and of poll items.
const (
	PollIn  = 1
	PollOut = 2
	PollErr = 4
	PollPri = 8
)

// Pollable is what Poll can wait for: a socket of any type, or a *Monitor.
type Pollable interface {
	// ForPoll is for Poll only.
	ForPoll() Polled
}

// Polled is a socket or monitor as Poll sees it.
type Polled interface {
	// Pin keeps the object usable until Unpin. It returns false if the object is closed.
	Pin() bool
	Unpin()
	// Readers returns the list of waiters to signal when a receive may find something, or
	// when State changes.
	Readers() *wait.List
	// State returns why calls must fail (ETERM, ENOTSOCK), or nil.
	State() error
	// Readable reports whether a receive would not block. With mark it also makes sure
	// that a change signals the readers.
	Readable(mark bool) bool
	// Writable reports whether a send would not block.
	Writable() bool
}

// PollItem is a socket, a monitor, or, if Socket is nil, a descriptor. Events says what to
// wait for: PollIn, PollOut, PollErr, PollPri.
type PollItem struct {
	Socket  Pollable
	Fd      int
	Events  int16
	Revents int16 // what is ready
}

// Poll waits until an item is ready or the timeout is over (negative: no timeout). It
// stores Revents and returns the number of ready items. A socket is readable when a
// receive would not block, and always writable. EINTR, in a C program: a signal handler
// ran. ETERM: a socket's context was shut down. ENOTSOCK: a socket is closed.
func Poll(items []PollItem, timeout time.Duration) (int, error) {
	p := poll{items: items, w: wait.New()}
	defer p.close()
	if err := p.collect(); err != nil {
		return 0, err
	}
	if timeout == 0 || p.fdsReady() {
		if ready, err := p.look(false); ready > 0 || err != nil || timeout == 0 {
			return ready, err
		}
	}
	if err := p.arm(); err != nil {
		return 0, err
	}
	deadline := time.Time{}
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	for {
		if ready, err := p.look(true); ready > 0 || err != nil {
			return ready, err
		}
		switch err := p.sleep(deadline); err {
		case nil:
		case errno.EAGAIN:
			return p.look(false)
		default:
			return 0, err
		}
		p.w.Reset()
	}
}

// poll is one call of Poll.
type poll struct {
	items  []PollItem
	w      *wait.Waiter
	fds    []sys.PollFd // of the items that are descriptors, then the waiter's
	pinned int          // number of items that are pinned sockets or descriptors
	added  bool         // w is in the sockets' lists
}

// collect gathers the descriptors, and pins the sockets.
func (p *poll) collect() error {
	for i := range p.items {
		item := &p.items[i]
		if item.Socket == nil {
			p.fds = append(p.fds, sys.PollFd{Fd: int32(item.Fd), Events: pollBits(item.Events)})
		} else if !item.Socket.ForPoll().Pin() {
			return errno.ENOTSOCK
		}
		p.pinned++
	}
	return nil
}

// fdsReady checks the descriptors before arm opens one more. The new one may get the number
// of a descriptor that was closed; Poll must report the closed one and not wait for it.
func (p *poll) fdsReady() bool {
	if p.fds == nil {
		return false
	}
	ready, err := pollFds(p.fds, LongAgo)
	return ready > 0 || err != nil
}

// arm adds the waiter to every socket's list, and its descriptor to the descriptors.
func (p *poll) arm() error {
	if p.fds != nil {
		fd, err := p.w.OpenFd()
		if err != nil {
			return errno.New(errno.Of(err), "cannot open an eventfd to poll descriptors")
		}
		p.fds = append(p.fds, sys.PollFd{Fd: int32(fd), Events: sys.PollIn})
	}
	p.added = true
	for _, item := range p.items {
		if item.Socket != nil {
			item.Socket.ForPoll().Readers().Add(p.w)
		}
	}
	return nil
}

func (p *poll) close() {
	if p.added {
		for _, item := range p.items {
			if item.Socket != nil {
				item.Socket.ForPoll().Readers().Remove(p.w)
			}
		}
	}
	p.w.CloseFd()
	for _, item := range p.items[:p.pinned] {
		if item.Socket != nil {
			item.Socket.ForPoll().Unpin()
		}
	}
}

// look stores what is ready. With mark it also marks the sockets' inboxes, so
// that whatever arrives from now on wakes the waiter.
func (p *poll) look(mark bool) (ready int, err error) {
	if p.fds != nil {
		if _, err := pollFds(p.fds, time.Now()); err != nil {
			return 0, err
		}
	}
	fd := 0
	for i := range p.items {
		item := &p.items[i]
		item.Revents = 0
		if item.Socket == nil {
			item.Revents = pollEvents(p.fds[fd].Revents)
			fd++
		} else if err := item.lookSocket(mark); err != nil {
			return 0, err
		}
		if item.Revents != 0 {
			ready++
		}
	}
	return ready, nil
}

func (item *PollItem) lookSocket(mark bool) error {
	socket := item.Socket.ForPoll()
	if err := socket.State(); err != nil {
		return err
	}
	if socket.Writable() {
		item.Revents = item.Events & PollOut
	}
	if item.Events&PollIn != 0 && socket.Readable(mark) {
		item.Revents |= PollIn
	}
	return nil
}

func (p *poll) sleep(deadline time.Time) error {
	if p.fds == nil {
		return p.w.Wait(deadline)
	}
	n, err := pollFds(p.fds, deadline)
	if err == nil && n == 0 {
		return errno.EAGAIN
	}
	return err
}

// pollFds calls ppoll until the deadline (zero: none).
func pollFds(fds []sys.PollFd, deadline time.Time) (int, error) {
	for {
		limit := time.Duration(-1)
		if !deadline.IsZero() {
			limit = max(0, time.Until(deadline))
		}
		n, err := sys.Poll(fds, limit)
		switch {
		case err == nil:
			return n, nil
		case err != sys.EINTR:
			return 0, errno.New(errno.Of(err), "cannot poll descriptors")
		case wait.ReportSignals:
			return 0, errno.EINTR
		}
	}
}

func pollBits(events int16) (bits int16) {
	if events&PollIn != 0 {
		bits |= sys.PollIn
	}
	if events&PollOut != 0 {
		bits |= sys.PollOut
	}
	if events&PollPri != 0 {
		bits |= sys.PollPri
	}
	return bits
}

func pollEvents(bits int16) (events int16) {
	if bits&sys.PollIn != 0 {
		events |= PollIn
	}
	if bits&sys.PollOut != 0 {
		events |= PollOut
	}
	if bits&sys.PollPri != 0 {
		events |= PollPri
	}
	if bits&^(sys.PollIn|sys.PollOut|sys.PollPri) != 0 {
		events |= PollErr
	}
	return events
}
