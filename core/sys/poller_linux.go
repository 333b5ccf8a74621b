// SPDX-License-Identifier: MPL-2.0

package sys

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a report says.
const (
	Readable = Readiness(unix.EPOLLIN)    // something came, or the end, or somebody to accept
	Writable = Readiness(unix.EPOLLOUT)   // the kernel takes bytes; a connection is up
	Ended    = Readiness(unix.EPOLLRDHUP) // the peer sends no more
	Gone     = Readiness(unix.EPOLLHUP)   // both directions are over
	Failed   = Readiness(unix.EPOLLERR)   // the next call says why
)

// Report is one entry that Wait stores.
type Report struct{ event unix.EpollEvent }

// Fd is the descriptor.
func (r *Report) Fd() int { return int(r.event.Fd) }

// Tag is what the descriptor was added with.
func (r *Report) Tag() int32 { return r.event.Pad }

// Ready is what is reported of it.
func (r *Report) Ready() Readiness { return Readiness(r.event.Events) }

// Poller is one epoll instance with an eventfd to wake it. Any thread may call its
// methods, but Wait one at a time.
type Poller struct {
	epfd   int
	wakeFd int
}

// edge asks for one report per change, in both directions, for the life of a
// descriptor: no further epoll_ctl is needed.
const edge = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// OpenPoller makes a poller.
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

// WakeFd is the descriptor that Wake writes to.
func (p *Poller) WakeFd() int { return p.wakeFd }

// Close closes the poller's descriptors.
func (p *Poller) Close() {
	Close(p.wakeFd)
	Close(p.epfd)
}

// AddEdge reports every change of a stream descriptor once, from now on and with what
// is so already. tag is not NoTag.
func (p *Poller) AddEdge(fd int, tag int32) error {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, edge, tag)
}

// Reserve takes what the kernel needs to report a listening descriptor, which is
// all that can fail: ENOSPC, ENOMEM.
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

// Remove forgets a descriptor that stays open.
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

// Wait stores reports and returns their number: at once when timeoutMs is 0, else
// after the first report or timeoutMs (-1: no limit). A wake-up is a report that is
// left out, so none does not mean that the time is over. EINTR is its only error.
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

// Wake ends the present or next Wait. The eventfd is edge triggered and never
// read: every write is a new edge. Prompt.
func (p *Poller) Wake() { SetEvent(p.wakeFd) }
