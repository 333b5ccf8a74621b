// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
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
	tag   int32       // of its events
	file  *socketFile // of ipc; nil: none to remove

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
	family := addr.Family()
	fd, err := tcp.open(family)
	if errno.Of(err) == errno.Errno(sys.EAFNOSUPPORT) && addr.Addr() == netip.IPv6Unspecified() && l.transport.Endpoint.Host == "*" {
		// "*" is every address that there is, and this system has none of IPv6.
		addr.AddrPort = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		family = sys.IPv4
		fd, err = tcp.open(family)
	}
	if err != nil {
		return err
	}
	addr, l.file, err = l.network.bind(fd, addr)
	if err == nil {
		err = sys.Listen(fd, tcp.Backlog)
	}
	var local Address
	if err == nil {
		local, err = sys.Sockname(fd)
	}
	if err == nil {
		err = l.shard.poller.Reserve(fd)
	}
	if err != nil {
		sys.Close(fd)
		l.file.remove()
		return errno.New(errno.Of(err), "cannot listen on %s", l.transport.Endpoint.With(addr.AddrPort, addr.Path))
	}
	l.fd = fd
	l.settle(local)
	return nil
}

// settle stores where the listener is.
func (l *Listener) settle(local Address) {
	l.Local = local
	ep := &l.transport.Endpoint
	*ep = ep.With(local.AddrPort, local.Path)
}

// ListenOn takes over a listening descriptor and sets the options that a
// listening one can still get. On an error it stays the caller's. EBADF: it is
// closed. EINVAL: it does not listen, or for another kind of transport.
func ListenOn(sh *Shard, fd int, transport *Transport, owner Owner, tcp TCPOptions, limits Limits, place func() *Shard) (*Listener, error) {
	l := newListener(sh, transport, owner, limits, place)
	local, err := listeningAddress(fd, l.network)
	if err != nil {
		return nil, err
	}
	if err := tcp.apply(fd, local.Family()); err != nil {
		return nil, err
	}
	err = sys.SetNonblock(fd)
	if err == nil { // accepted connections take it on, so that the port can be bound anew
		err = sys.SetOption(fd, sys.ReuseAddress, 1)
	}
	if err == nil {
		err = sh.poller.Reserve(fd)
	}
	if err != nil {
		return nil, errno.New(errno.Of(err), "cannot use descriptor %d (USE_FD)", fd)
	}
	sys.CloseOnExec(fd)
	l.fd, l.given = fd, &tcp
	l.settle(local)
	l.start()
	return l, nil
}

func listeningAddress(fd int, n *network) (Address, error) {
	listens, err := sys.Listening(fd)
	switch {
	case err == sys.ENOTSOCK: // to callers that number is about handles
		return Address{}, errno.New(errno.EINVAL, "descriptor %d (USE_FD) is not a socket", fd)
	case err != nil:
		return Address{}, errno.New(errno.Of(err), "descriptor %d (USE_FD) is not open", fd)
	case !listens:
		return Address{}, errno.New(errno.EINVAL, "descriptor %d (USE_FD) does not listen", fd)
	}
	local, err := sys.Sockname(fd)
	if err != nil || local == (Address{}) || !n.has(local.Family()) {
		return Address{}, errno.New(errno.EINVAL, "descriptor %d (USE_FD) does not listen on %s", fd, n.name)
	}
	return local, nil
}

// start begins to accept.
func (l *Listener) start() {
	fd := l.fd
	growOnce.Do(func() { sys.GrowTable(fd, tableSize) })
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
var growOnce sync.Once

// tableSize is the number of descriptors that need no growth: 128 KiB.
const tableSize = 16384

// Unbind is Close that first takes the connections that wait to be accepted: their
// clients have heard that they are connected.
func (l *Listener) Unbind() {
	l.closing.Lock()
	waiting := l.drain()
	l.closing.Unlock()
	l.stop()
	l.shard.Post(func() { l.takeWaiting(waiting) })
}

// takeWaiting takes some of those that waited, and the others in the next rounds, as
// connections that are there have their turns between. The end is behind them.
func (l *Listener) takeWaiting(all []waitingConn) {
	n := min(len(all), acceptBatch)
	for _, c := range all[:n] {
		l.take(c.fd, c.remote)
	}
	if n == len(all) {
		l.close()
		return
	}
	l.shard.Post(func() { l.takeWaiting(all[n:]) })
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
		_ = sys.Listen(l.fd, 0)
	}
	for range drainMost {
		fd, remote, err := sys.Accept(l.fd)
		switch err {
		case 0:
			waiting = append(waiting, waitingConn{fd, remote})
		case sys.EINTR, sys.ECONNABORTED:
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
	l.stop()
	l.shard.Post(l.close)
}

// stop frees the address.
func (l *Listener) stop() {
	l.closing.Lock()
	defer l.closing.Unlock()
	if l.fd >= 0 && l.given == nil {
		// The kernel refuses connections from here on; the shard closes later.
		sys.EndListening(l.fd)
		l.file.remove()
		if strings.HasPrefix(l.Local.Path, "@") {
			sys.FreeName(l.fd)
		}
	}
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
func (l *Listener) ready(sys.Readiness) {
	l.shard.accepted = time.Now()
	for range acceptBatch {
		if eventful(l.owner) {
			l.pause(eventsPause)
			return
		}
		fd, remote, err := sys.Accept(l.fd)
		switch err {
		case 0:
			l.take(fd, remote)
		case sys.EMFILE, sys.ENFILE, sys.ENOBUFS, sys.ENOMEM:
			l.observe(EventAcceptFailed, uint64(err))
			l.pause(acceptPause)
			return
		case sys.EAGAIN, sys.EINVAL: // nothing more; or being closed
			return
		}
	}
}

// take is where an accepted descriptor becomes a connection.
func (l *Listener) take(fd int, remote Address) {
	if l.given != nil { // it may have waited since before they were set
		_ = l.given.apply(fd, l.Local.Family())
	}
	l.hand(fd, remote)
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

// eventful reports whether as many events wait in a socket as may.
func eventful(owner Owner) bool { return owner.Shared().RxEvents.Load() >= eventsMax }
