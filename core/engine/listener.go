// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/errno"
)

const (
	acceptBatch = 32                     // connections taken per report
	acceptPause = 100 * time.Millisecond // when the process is out of descriptors

	// eventsMax is how many events may wait in a socket: with more, its listeners
	// accept nobody and its dialers do not dial again, as each connection that
	// comes and goes leaves two, in a struct of its own. eventsPause is how often
	// they look whether the receiver has caught up.
	eventsMax   = 16384
	eventsPause = 10 * time.Millisecond
)

// Listener accepts connections on one address and hands them to the shards in
// turn of their load.
type Listener struct {
	*origin // of its connections; its endpoint is the one that is listened on

	Local Address
	fd    int
	shard *Shard
	place func() *Shard
	tag   int32               // of its events
	peer  unix.RawSockaddrAny // of the last accept
	file  *socketFile         // of ipc; nil: none to remove

	// given are the options of a descriptor that the application opened; nil: of
	// its own. Other processes may listen on it too.
	given *TCPOptions

	closing sync.Mutex // guards the end of fd
}

// Listen opens a listening descriptor on an address, which for ipc is the path.
// Any thread. place picks the shard of a new connection.
func Listen(sh *Shard, transport *Transport, addr Address, owner Owner, tcp TCPOptions, limits Limits, place func() *Shard) (*Listener, error) {
	l := newListener(sh, transport, owner, limits, place)
	err := l.open(addr, tcp)
	if err != nil {
		return nil, err
	}
	l.start()
	return l, nil
}

func newListener(sh *Shard, transport *Transport, owner Owner, limits Limits, place func() *Shard) *Listener {
	from := newOrigin(owner, transport, limits, nil)
	return &Listener{origin: &from, shard: sh, place: place}
}

// Transport is that of its connections.
func (l *Listener) Transport() *Transport { return l.transport }

func (l *Listener) open(addr Address, tcp TCPOptions) error {
	_, family := addr.sockaddr()
	fd, err := tcp.open(family)
	if errno.Of(err) == errno.Errno(unix.EAFNOSUPPORT) && addr.Addr() == netip.IPv6Unspecified() && l.transport.Endpoint.Host == "*" {
		// "*" is every address that there is, and this system has none of IPv6.
		addr.AddrPort = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		family = unix.AF_INET
		fd, err = tcp.open(family)
	}
	if err != nil {
		return err
	}
	if family == unix.AF_UNIX {
		addr, l.file, err = bindFile(fd, addr.Path)
	} else {
		err = bindPort(fd, addr)
	}
	if err == nil {
		err = unix.Listen(fd, tcp.Backlog)
	}
	var local unix.Sockaddr
	if err == nil {
		local, err = unix.Getsockname(fd)
	}
	if err == nil {
		err = l.shard.poller.Reserve(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		l.file.remove()
		return errno.New(errno.Of(err), "cannot listen on %s", l.transport.Endpoint.With(addr.AddrPort, addr.Path))
	}
	l.fd = fd
	l.settle(addressOf(local))
	return nil
}

// settle stores where the listener is.
func (l *Listener) settle(local Address) {
	l.Local = local
	ep := &l.transport.Endpoint
	*ep = ep.With(local.AddrPort, local.Path)
}

func bindPort(fd int, addr Address) error {
	sa, _ := addr.sockaddr()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	return unix.Bind(fd, sa)
}

// ListenOn takes over a listening descriptor and sets the options that a
// listening one can still get. On an error it stays the caller's. EBADF: it is
// closed. EINVAL: it does not listen, or for another kind of transport.
func ListenOn(sh *Shard, fd int, transport *Transport, owner Owner, tcp TCPOptions, limits Limits, place func() *Shard) (*Listener, error) {
	local, err := listeningAddress(fd, transport.Endpoint.Scheme == endpoint.IPC)
	if err != nil {
		return nil, err
	}
	_, family := local.sockaddr()
	if err := tcp.apply(fd, family); err != nil {
		return nil, err
	}
	err = unix.SetNonblock(fd, true)
	if err == nil { // accepted connections take it on, so that the port can be bound anew
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = sh.poller.Reserve(fd)
	}
	if err != nil {
		return nil, errno.New(errno.Of(err), "cannot use descriptor %d (USE_FD)", fd)
	}
	unix.CloseOnExec(fd)
	l := newListener(sh, transport, owner, limits, place)
	l.fd, l.given = fd, &tcp
	l.settle(local)
	l.start()
	return l, nil
}

func listeningAddress(fd int, ipc bool) (Address, error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch {
	case err == unix.ENOTSOCK: // to callers that number is about handles
		return Address{}, errno.New(errno.EINVAL, "descriptor %d (USE_FD) is not a socket", fd)
	case err != nil:
		return Address{}, errno.New(errno.Of(err), "descriptor %d (USE_FD) is not open", fd)
	case listens == 0:
		return Address{}, errno.New(errno.EINVAL, "descriptor %d (USE_FD) does not listen", fd)
	}
	sa, err := unix.Getsockname(fd)
	local := addressOf(sa)
	switch {
	case err == nil && ipc && local.Path != "", err == nil && !ipc && local.IsValid():
		return local, nil
	case ipc:
		return Address{}, errno.New(errno.EINVAL, "descriptor %d (USE_FD) does not listen on ipc", fd)
	}
	return Address{}, errno.New(errno.EINVAL, "descriptor %d (USE_FD) does not listen on tcp", fd)
}

// start begins to accept.
func (l *Listener) start() {
	fd := l.fd
	growDescriptorTable.Do(func() { growTable(fd) })
	l.observe(EventListening, uint64(fd)) // before any of its connections
	l.shard.Post(func() {
		if l.fd >= 0 {
			l.tag = l.shard.enroll(fd, l)
			l.shard.poller.Level(fd, l.tag, true)
		}
	})
}

// The kernel doubles a process's table of descriptors when it is full, and with
// several threads that takes 10 to 30 ms each time, in which nothing is
// accepted: ten thousand clients that come at once overflow the backlog. So the
// table is made large once, with the first listener.
var growDescriptorTable sync.Once

// tableSize is the number of descriptors that need no growth: 128 KiB.
const tableSize = 16384

func growTable(fd int) {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur == 0 {
		return
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, int(min(limit.Cur, tableSize))-1)
	if err == nil {
		_ = unix.Close(high)
	}
}

// Unbind is Close that first takes the connections that wait to be accepted: their
// clients have heard that they are connected.
func (l *Listener) Unbind() {
	l.closing.Lock()
	waiting := l.drain()
	l.closing.Unlock()
	if len(waiting) > 0 {
		l.shard.Post(func() {
			for _, c := range waiting {
				l.take(c.fd, c.remote)
			}
		})
	}
	l.Close()
}

// waitingConn is a connection that was taken out of the queue.
type waitingConn struct {
	fd     int
	remote Address
}

// drainMost bounds how many connections drain takes; no system has a longer queue
// unless told to.
const drainMost = 64 << 10

// drain takes what waits in the queue of a listening descriptor, and lets hardly
// anything in meanwhile. The kernel resets what is left there when the descriptor is
// closed.
func (l *Listener) drain() (waiting []waitingConn) {
	if l.fd < 0 {
		return nil
	}
	if l.given == nil {
		_ = unix.Listen(l.fd, 0)
	}
	var peer unix.RawSockaddrAny
	for range drainMost {
		fd, remote, err := l.accept(&peer)
		switch err {
		case 0:
			waiting = append(waiting, waitingConn{fd, remote})
		case unix.EINTR, unix.ECONNABORTED:
		default:
			return waiting
		}
	}
	return waiting
}

// Close stops listening and returns when the address is free; a descriptor that
// was given is closed soon after, and stays as it is in other processes.
// Accepted connections stay. Any thread but the driver's own calls.
func (l *Listener) Close() {
	l.closing.Lock()
	if l.fd >= 0 && l.given == nil {
		// The kernel refuses connections from here on; the shard closes later.
		_ = unix.Shutdown(l.fd, unix.SHUT_RDWR)
		l.file.remove()
		if strings.HasPrefix(l.Local.Path, "@") {
			replaceSocket(l.fd)
		}
	}
	l.closing.Unlock()
	l.shard.Post(l.close)
}

// replaceSocket frees a name that is no file: it puts another socket in the place
// of the descriptor, whose number stays taken until the shard closes it.
func replaceSocket(fd int) {
	other, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return // the name is free when the shard closes
	}
	_ = unix.Dup3(other, fd, unix.O_CLOEXEC)
	_ = unix.Close(other)
}

func (l *Listener) close() {
	l.closing.Lock()
	fd := l.fd
	l.fd = -1
	l.closing.Unlock()
	if fd >= 0 {
		l.file.remove()
		l.observe(EventClosed, uint64(fd))
		l.shard.closeFd(fd)
		l.owner.Gone(l)
	}
}

func (l *Listener) observe(kind EventKind, value uint64) {
	if l.owner.Observed() {
		l.owner.Observe(Event{Kind: kind, Value: value, Local: l.transport.Endpoint.String()})
	}
}

// ready accepts what waits.
func (l *Listener) ready(uint32) {
	l.shard.accepted = time.Now()
	for range acceptBatch {
		if eventful(l.owner) {
			l.pause(eventsPause)
			return
		}
		fd, remote, err := l.accept(&l.peer)
		switch err {
		case 0:
			l.take(fd, remote)
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			l.observe(EventAcceptFailed, uint64(err))
			l.pause(acceptPause)
			return
		case unix.EAGAIN, unix.EINVAL: // nothing more; or being closed
			return
		}
	}
}

// take is where an accepted descriptor becomes a connection.
func (l *Listener) take(fd int, remote Address) {
	if l.given != nil { // it may have waited since before they were set
		_, family := l.Local.sockaddr()
		_ = l.given.apply(fd, family)
	}
	l.hand(fd, remote)
}

// accept takes one connection; peer is written to. It may sleep in the kernel, which
// grows the table of descriptors, so the scheduler is told.
func (l *Listener) accept(peer *unix.RawSockaddrAny) (int, Address, unix.Errno) {
	size := uint32(unix.SizeofSockaddrAny)
	fd, _, e := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(l.fd), uintptr(unsafe.Pointer(peer)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, Address{}, e
	}
	return int(fd), addressOfRaw(peer), 0
}

// hand gives a connection to a shard.
func (l *Listener) hand(fd int, remote Address) {
	a := arrival{origin: l.origin, fd: fd, remote: remote}
	sh := l.place()
	sh.conns.Add(1) // at once, so that the next one goes elsewhere
	if sh == l.shard {
		sh.welcome(a)
		return
	}
	sh.Post(func() { sh.welcome(a) })
}

// pause looks away for a while: a level triggered report of a connection that
// cannot be accepted would come again at once.
func (l *Listener) pause(d time.Duration) {
	l.shard.poller.Level(l.fd, l.tag, false)
	l.shard.timers.after(d, func() {
		switch {
		case l.fd < 0:
		case eventful(l.owner):
			l.pause(d)
		default:
			l.shard.poller.Level(l.fd, l.tag, true)
		}
	})
}

// eventful tells whether as many events wait in a socket as may.
func eventful(owner Owner) bool { return atomic.LoadInt32(&owner.Shared().RxEvents) >= eventsMax }
