// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

const (
	acceptBatch = 32                     // connections taken per report
	acceptPause = 100 * time.Millisecond // after the process ran out of descriptors

	// eventsMax is the highest number of events that may wait in a socket. Above it, the
	// socket's listeners accept nobody and its dialers do not dial again: each connection
	// that comes and goes leaves two events in a struct of its own. eventsPause is how often
	// listeners and dialers check whether the receiver has caught up.
	eventsMax   = 16384
	eventsPause = 10 * time.Millisecond
)

// Listener accepts connections on one address and distributes them over the shards by
// load.
type Listener struct {
	*origin // of its connections, with the endpoint that it listens on

	Local Address
	fd    int
	shard *Shard
	place func() *Shard
	tag   int32       // of its events
	file  *socketFile // of ipc; nil: no file to remove

	shared bool // others listen on the address, too, by STREAM_REUSEPORT

	// given are the options for a descriptor that the application opened; nil: the listener
	// has opened its own. Other processes may listen on a given one, too.
	given *TCPOptions

	closing sync.Mutex  // guards the end of fd, and what follows
	lent    bool        // another process may have the descriptor: its queue goes on after the listener
	taken   bool        // another process serves whoever comes
	left    atomic.Bool // and this one nobody more, though its descriptor is not closed yet
}

// Listen opens a listening descriptor on an address, which for ipc is the path. place
// picks the shard of a new connection. Any thread.
func Listen(sh *Shard, transport *Transport, addr Address, owner Owner, tcp TCPOptions, limits Limits, place func() *Shard) (*Listener, error) {
	l := newListener(sh, transport, owner, limits, place)
	if err := l.open(addr, tcp); err != nil {
		return nil, err
	}
	l.start()
	return l, nil
}

func newListener(sh *Shard, transport *Transport, owner Owner, limits Limits, place func() *Shard) *Listener {
	from := newOrigin(owner, transport, limits, nil)
	return &Listener{origin: &from, shard: sh, place: place}
}

// Transport returns the transport of the listener's connections.
func (l *Listener) Transport() *Transport { return l.transport }

func (l *Listener) open(addr Address, tcp TCPOptions) error {
	family := addr.Family()
	fd, err := tcp.open(family)
	if errno.Of(err) == errno.Errno(sys.EAFNOSUPPORT) && addr.Addr() == netip.IPv6Unspecified() && l.transport.Endpoint.Host == "*" {
		// "*" means every address that exists, and this system has no IPv6.
		addr.AddrPort = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		family = sys.IPv4
		fd, err = tcp.open(family)
	}
	if err != nil {
		return err
	}
	if l.shared = tcp.ReusePort; l.shared {
		err = sys.SetOption(fd, sys.ReusePort, 1)
	}
	if err == nil {
		addr, l.file, err = l.network.bind(fd, addr)
	}
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

// settle stores the address that the listener got.
func (l *Listener) settle(local Address) {
	l.Local = local
	l.listensOn(local)
}

// ListenOn takes over a listening descriptor and sets the options that can still be set
// on it. On an error the descriptor stays the caller's. EBADF: it is closed. EINVAL: it
// does not listen, or listens for another kind of transport.
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
	if err == nil { // accepted connections inherit it, so that the port can be bound again
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
	case err == sys.ENOTSOCK: // callers take ENOTSOCK for a bad handle
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
	spare.need()
	l.observe(EventListening, uint64(fd)) // before any of its connections
	l.shard.Post(func() {
		if l.fd >= 0 {
			l.tag = l.shard.enroll(fd, l)
			l.shard.poller.Level(fd, l.tag, true)
		}
	})
}

// The kernel doubles a process's table of descriptors when it is full. With several
// threads that takes 10 to 30 ms each time, in which nothing is accepted, and ten
// thousand clients that come at once overflow the backlog. The first listener therefore
// enlarges the table once.
var growOnce sync.Once

// tableSize is the number of descriptors for which the table need not grow: 128 KiB.
const tableSize = 16384

// Unbind is Close that first accepts the waiting connections: their clients believe that
// they are connected.
func (l *Listener) Unbind() {
	l.closing.Lock()
	waiting := l.drain()
	l.closing.Unlock()
	l.stop()
	l.shard.Post(func() { l.takeWaiting(waiting) })
}

// takeWaiting takes some of the connections that waited now and the others in later rounds,
// so that existing connections get their turns in between. The listener ends after that.
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

// waitingConn is a connection that was taken from the queue.
type waitingConn struct {
	fd     int
	remote Address
}

// drainMost limits how many connections drain takes. No system has a longer queue by
// default.
const drainMost = 64 << 10

// drain takes the connections that wait in the queue of a listening descriptor, and lets
// hardly any new ones in meanwhile. The kernel would reset those that are left when the
// descriptor is closed.
func (l *Listener) drain() (waiting []waitingConn) {
	if l.fd < 0 || l.taken { // who has taken it over takes those that wait
		return nil
	}
	if l.given == nil && !l.shared && !l.lent { // new ones of a shared address go to the others
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

// Close stops listening and returns when the address is free. A given descriptor is closed
// soon after that; in other processes it stays as it is. Accepted connections stay. Any
// thread may call it, but no call on the driver.
func (l *Listener) Close() {
	l.stop()
	l.shard.Post(l.close)
}

// stop frees the address.
func (l *Listener) stop() {
	l.closing.Lock()
	defer l.closing.Unlock()
	l.left.Store(l.taken)
	if l.fd >= 0 && l.given == nil && !l.lent {
		// From here on the kernel refuses connections; the shard closes the descriptor later.
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
	lent := l.lent
	l.closing.Unlock()
	if fd >= 0 {
		spare.unneed()
		if lent {
			l.file.leave()
		} else {
			l.file.remove()
		}
		l.observe(EventClosed, uint64(fd))
		l.shard.poller.Remove(fd) // while another process has the queue, closing does not end its reports
		l.shard.closeFd(fd)
		l.owner.Gone(l)
	}
}

func (l *Listener) observe(kind EventKind, value uint64) {
	if l.owner.Observed() {
		l.owner.Observe(Event{Kind: kind, Value: value, Local: l.transport.Endpoint.String()})
	}
}

// ready accepts waiting connections.
func (l *Listener) ready(sys.Readiness) {
	l.shard.accepted = time.Now()
	for range acceptBatch {
		if l.left.Load() {
			return
		}
		if wait := l.mustWait(); wait > 0 {
			l.pause(wait)
			return
		}
		fd, remote, err := sys.Accept(l.fd)
		if err == 0 && !l.hasSpare(fd, remote) && l.take(fd, remote) {
			continue
		}
		l.admission.unwait()
		switch err {
		case sys.EMFILE, sys.ENFILE:
			l.observe(EventAcceptFailed, uint64(err))
			l.shed()
			l.pause(acceptPause)
			return
		case sys.ENOBUFS, sys.ENOMEM:
			l.observe(EventAcceptFailed, uint64(err))
			l.pause(acceptPause)
			return
		case sys.EAGAIN, sys.EINVAL: // no more, or being closed
			return
		}
	}
}

// mustWait returns how long nobody may be accepted. After 0 somebody may, once, and
// counts for the socket's rate unless unwait follows.
func (l *Listener) mustWait() time.Duration {
	if l.heldUp() {
		return eventsPause
	}
	return l.admission.wait(l.shard.accepted)
}

// heldUp reports whether what was accepted before has to go on first: its events are not
// received, or too many wait for their handshakes.
func (l *Listener) heldUp() bool {
	return eventful(l.owner) || (len(l.layers) > 0 || l.fork != nil || l.asks()) && l.shard.gate.crowded(l.admission)
}

// take makes a connection of an accepted descriptor, or refuses it. It reports whether the
// connection is kept.
func (l *Listener) take(fd int, remote Address) bool {
	at, why := l.admit(remote.Addr())
	if why != admitted {
		l.refuse(fd, remote, why)
		return false
	}
	if l.given != nil { // it may have waited since before the options were set
		_ = l.given.apply(fd, l.Local.Family())
	}
	l.hand(arrival{origin: l.origin, fd: fd, remote: remote, place: at})
	return true
}

// admit takes a place for a connection. One from a proxy has no address yet that counts.
func (l *Listener) admit(from netip.Addr) (place, verdict) {
	if l.transport.ProxyFrom.Empty() {
		return l.admission.enter(from, time.Now())
	}
	if !l.transport.fromProxy(from) {
		return noPlace, notProxy
	}
	return l.admission.enter(netip.Addr{}, time.Now())
}

// refuse resets a connection. Monitors hear of it.
func (l *Listener) refuse(fd int, remote Address, why verdict) {
	l.tellRefused(remote, why)
	l.reset(fd, remote)
}

func (o *origin) tellRefused(remote Address, why verdict) {
	if o.owner.Observed() {
		err := verdicts[why]
		o.owner.Observe(Event{Kind: EventAcceptFailed, Value: uint64(errno.Of(err)), Local: o.transport.Endpoint.String(),
			Remote: o.transport.remoteText(remote), Detail: errno.Detail(err), Cause: CauseLimit})
	}
}

// reset ends and counts a connection that was accepted, but is not kept.
func (l *Listener) reset(fd int, remote Address) {
	sys.ResetOnClose(fd)
	sys.Close(fd)
	l.turnedAway(remote, CauseLimit)
}

// hand passes a connection to a shard. On its way it is a part of the socket, which would
// otherwise be over, or drained, before the connection is there.
func (l *Listener) hand(a arrival) {
	sh := l.place()
	sh.conns.Add(1) // at once, so that the next connection goes elsewhere
	switch {
	case sh == l.shard:
		sh.welcome(a)
	case a.owner.Enter():
		sh.Post(func() {
			sh.welcome(a)
			a.owner.Gone(nil)
		})
	default:
		sh.sendAway(a)
	}
}

// pause stops accepting for a while: the level-triggered report of a connection that
// cannot be accepted would come again at once.
func (l *Listener) pause(d time.Duration) {
	l.shard.poller.Level(l.fd, l.tag, false)
	l.shard.timers.after(d, func() {
		switch {
		case l.fd < 0:
		case l.heldUp():
			l.pause(d)
		default:
			l.shard.poller.Level(l.fd, l.tag, true)
		}
	})
}

// eventful reports whether a socket has reached eventsMax.
func eventful(owner Owner) bool { return owner.Shared().RxEvents.Load() >= eventsMax }
