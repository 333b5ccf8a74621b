// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The bits of a report.
const (
	Readable = Readiness(unix.EPOLLIN)    // bytes or the end arrived, or somebody waits to be accepted
	Writable = Readiness(unix.EPOLLOUT)   // the kernel takes bytes; a connection is up
	Ended    = Readiness(unix.EPOLLRDHUP) // the peer sends no more
	Gone     = Readiness(unix.EPOLLHUP)   // both directions are over
	Failed   = Readiness(unix.EPOLLERR)   // the next call returns the reason
)

// Report is an entry that Wait stores.
type Report struct{ event unix.EpollEvent }

// Fd returns the descriptor.
func (r *Report) Fd() int { return int(r.event.Fd) }

// Tag returns the tag that the descriptor was added with.
func (r *Report) Tag() int32 { return r.event.Pad }

// Ready returns the reported bits.
func (r *Report) Ready() Readiness { return Readiness(r.event.Events) }

// Poller is an epoll instance with an eventfd to wake it. Any thread may call its
// methods, but only one thread at a time may call Wait.
type Poller struct {
	epfd   int
	wakeFd int
}

// edge asks for one report per change in both directions. It holds for the life of a
// descriptor, which needs no further epoll_ctl.
const edge = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// OpenPoller opens a poller.
func OpenPoller() (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wakeFd, err := OpenEvent()
	if err != nil {
		Close(epfd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &Poller{epfd: epfd, wakeFd: wakeFd}
	if err := p.ctl(unix.EPOLL_CTL_ADD, wakeFd, unix.EPOLLIN|unix.EPOLLET, 0); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// WakeFd returns the descriptor that Wake writes to.
func (p *Poller) WakeFd() int { return p.wakeFd }

// Close closes the poller's descriptors.
func (p *Poller) Close() {
	Close(p.wakeFd)
	Close(p.epfd)
}

// AddEdge reports every change of a stream descriptor once, beginning with its present
// state. tag must not be NoTag.
func (p *Poller) AddEdge(fd int, tag int32) error {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, edge, tag)
}

// Reserve allocates what the kernel needs to report a listening descriptor. Only this step
// can fail: ENOSPC, ENOMEM.
func (p *Poller) Reserve(fd int) error { return p.ctl(unix.EPOLL_CTL_ADD, fd, 0, NoTag) }

// Level reports a reserved descriptor as long as connections wait there. When off, it
// reports nothing.
func (p *Poller) Level(fd int, tag int32, on bool) {
	events := uint32(0)
	if on {
		events = unix.EPOLLIN
	}
	_ = p.ctl(unix.EPOLL_CTL_MOD, fd, events, tag)
}

// NoTag is the tag of a descriptor that is only reserved. The kernel may still report its
// end.
const NoTag = -1

// Remove stops the reports of a descriptor that stays open.
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

// Wait stores reports and returns their number. It returns at once when timeoutMs is 0,
// else after the first report or timeoutMs (-1: no limit). Wait leaves out the report of a
// wake-up, so 0 reports do not mean that the time is over. EINTR is its only error.
// Waits, but is prompt when timeoutMs is 0.
func (p *Poller) Wait(reports []Report, timeoutMs int) (int, error) {
	var n uintptr
	var e Errno
	size := uintptr(len(reports))
	if timeoutMs == 0 {
		n, _, e = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd),
			uintptr(unsafe.Pointer(&reports[0])), size, 0, 0, 0)
	} else {
		n, _, e = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd),
			uintptr(unsafe.Pointer(&reports[0])), size, uintptr(timeoutMs), 0, 0)
	}
	if e != 0 {
		return 0, e
	}
	for i := range int(n) {
		if reports[i].event.Fd == int32(p.wakeFd) {
			n--
			reports[i] = reports[n]
			break
		}
	}
	return int(n), nil
}

// Wake ends the current or next Wait. The eventfd is edge-triggered and never read: every
// write is a new edge. Prompt.
func (p *Poller) Wake() { SetEvent(p.wakeFd) }
