// SPDX-License-Identifier: MPL-2.0

// Package epoll is the kernel's event queue: open, add, wait, wake, close. It
// knows nothing of connections.
package epoll

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Event is one readiness report: the descriptor and tag given to Add, and the
// EPOLL bits.
type Event = unix.EpollEvent

// Poller is one epoll instance with an eventfd to wake it. Add, Remove and
// Wake may be called from any thread, Wait from one at a time.
type Poller struct {
	epfd   int
	wakeFd int
}

// edge asks for one report per change, in both directions, for the life of a
// descriptor: no further epoll_ctl is needed.
const edge = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// Open makes a poller.
func Open() (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wakeFd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &Poller{epfd: epfd, wakeFd: wakeFd}
	if err := p.ctl(unix.EPOLL_CTL_ADD, wakeFd, unix.EPOLLIN|unix.EPOLLET, 0); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// WakeFd is the eventfd that Wake writes to.
func (p *Poller) WakeFd() int { return p.wakeFd }

// Close closes the poller's descriptors.
func (p *Poller) Close() {
	_ = unix.Close(p.wakeFd)
	_ = unix.Close(p.epfd)
}

// AddEdge reports every change of a stream descriptor, edge triggered. tag
// comes back in the event's Pad.
func (p *Poller) AddEdge(fd int, tag int32) error {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, edge, tag)
}

// Reserve takes what the kernel needs to report a listening descriptor, which is
// all that can fail: ENOSPC, ENOMEM. Any thread.
func (p *Poller) Reserve(fd int) error { return p.ctl(unix.EPOLL_CTL_ADD, fd, 0, NoTag) }

// Level reports a reserved descriptor as long as it has connections, or, when off,
// not at all.
func (p *Poller) Level(fd int, tag int32, on bool) {
	events := uint32(0)
	if on {
		events = unix.EPOLLIN
	}
	_ = p.ctl(unix.EPOLL_CTL_MOD, fd, events, tag)
}

// NoTag is that of a descriptor which is only reserved; the kernel may report
// its end.
const NoTag = -1

// Remove forgets a descriptor. Closing it has the same effect.
func (p *Poller) Remove(fd int) { _ = p.ctl(unix.EPOLL_CTL_DEL, fd, 0, 0) }

func (p *Poller) ctl(op, fd int, events uint32, tag int32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: tag}
	_, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.epfd), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	if e != 0 {
		return fmt.Errorf("epoll_ctl: %w", e)
	}
	return nil
}

// Wait stores events and returns their number: at once when timeoutMs is 0,
// else after the first event or timeoutMs (-1: no limit). A wake-up is an
// event that is left out, so 0 events do not mean that the time is over.
func (p *Poller) Wait(events []Event, timeoutMs int) (int, error) {
	var n uintptr
	var e unix.Errno
	size := uintptr(len(events))
	if timeoutMs == 0 {
		n, _, e = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd),
			uintptr(unsafe.Pointer(&events[0])), size, 0, 0, 0)
	} else {
		n, _, e = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd),
			uintptr(unsafe.Pointer(&events[0])), size, uintptr(timeoutMs), 0, 0)
	}
	if e != 0 {
		return 0, e
	}
	for i := range int(n) {
		if events[i].Fd == int32(p.wakeFd) {
			n--
			events[i] = events[n]
			break
		}
	}
	return int(n), nil
}

// Wake ends the present or next Wait. The eventfd is edge triggered and never
// read: every write is a new edge.
func (p *Poller) Wake() {
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(p.wakeFd), uintptr(unsafe.Pointer(&one)), 8)
}
