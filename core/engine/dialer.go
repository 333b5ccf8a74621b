// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// Redial says when a lost or refused connection is dialled again.
type Redial struct {
	First time.Duration // pause before the second try; negative: never try again
	Max   time.Duration // if larger than First, the pause doubles up to this

	ConnectTimeout time.Duration // of one try; 0: the system's limit
}

// Dialer keeps one connection to an endpoint. It dials, and dials again when the connection
// is refused or lost. Driver only, except Start and Close.
type Dialer struct {
	origin
	target endpoint.Endpoint // the transport's
	known  []Address         // addresses of target; nil: each try looks them up
	shard  *Shard
	tcp    TCPOptions
	redial Redial
	alias  []byte // name of the first peer; used once, and kept until that peer is there
	Index  int32  // the owner's

	last      Address    // target of the last attempt that ended; none: the name was not found
	untried   []Address  // addresses that the present try has not used
	attempts  []*attempt // that are under way
	next      *timer     // begins another attempt beside them
	handshake *handshake // nil: no handshake is going on
	conn      *Conn
	pause     time.Duration
	retry     *timer
	limit     *timer // of the present try
	closed    bool
	ended     bool               // this side closed the connection: it is not lost, and not dialled again
	lookUp    context.CancelFunc // ends the running look-up, which will still report; nil: none runs
}

// attempt is a descriptor that connects to one address.
type attempt struct {
	dialer *Dialer
	fd     int
	remote Address
}

// attemptDelay is the time that an attempt has before the next address of the name is tried
// in parallel (RFC 8305, 5).
const attemptDelay = 250 * time.Millisecond

// NewDialer returns a dialer that has not started.
func NewDialer(sh *Shard, transport *Transport, owner Owner, tcp TCPOptions, limits Limits, redial Redial, alias []byte) *Dialer {
	d := &Dialer{target: transport.Endpoint, shard: sh, tcp: tcp, redial: redial, alias: alias, pause: redial.First}
	d.origin = newOrigin(owner, transport, limits, d)
	d.known = d.network.known(d.target)
	return d
}

// Check opens and closes a descriptor like that of a try. Connect can thus report an option
// or a source that the system refuses; later tries would only fail. Any thread, before
// Start.
func (d *Dialer) Check() error {
	if !d.tcp.refusable(d.network) && d.target.Source == nil {
		return nil
	}
	to := netip.IPv4Unspecified() // for a name, which Check does not look up
	switch source := d.target.Source; {
	case d.target.Literal():
		addrs, err := d.target.Dial(context.Background(), d.tcp.IPv6)
		if err != nil {
			return err
		}
		to = addrs[0].Addr()
	case source != nil && d.tcp.IPv6 && source.Literal():
		addrs, _ := source.Dial(context.Background(), true)
		if to = netip.IPv6Unspecified(); addrs[0].Addr().Is4() {
			to = netip.IPv4Unspecified()
		}
	}
	fd, err := d.open(anyPort(to))
	if err == nil {
		sys.Close(fd)
	}
	return err
}

// open opens a descriptor for a connection to an address.
func (d *Dialer) open(to Address) (int, error) {
	family := to.Family()
	if d.target.Source == nil {
		return d.tcp.open(family)
	}
	from, err := d.target.From(to.Addr())
	if err != nil {
		return -1, err
	}
	fd, err := d.tcp.open(family)
	if err != nil {
		return -1, err
	}
	if err := bindSource(fd, Address{AddrPort: from}); err != nil {
		sys.Close(fd)
		return -1, errno.New(errno.Of(err), "cannot connect from %s", endpoint.Text(d.target.Scheme, from))
	}
	return fd, nil
}

func bindSource(fd int, from Address) error {
	// A fixed port may be reused while the system still remembers an old connection of it. For
	// any other port the system chooses with the target in view.
	option := sys.ReuseAddress
	if from.Port() == 0 {
		option = sys.BindNoPort
	}
	if err := sys.SetOption(fd, option, 1); err != nil {
		return err
	}
	return sys.Bind(fd, from)
}

// Start begins to dial. Any thread; call it once.
func (d *Dialer) Start() { d.shard.Post(d.dial) }

// Close ends the dialer and its connection. Queued messages are sent until the deadline
// (zero: no deadline), or dropped when now is set. Any thread.
func (d *Dialer) Close(why Cause, now bool, deadline time.Time) {
	d.shard.Post(func() { d.close(why, now, deadline) })
}

func (d *Dialer) close(why Cause, now bool, deadline time.Time) {
	if d.closed {
		return
	}
	d.closed = true
	d.shard.timers.cancel(d.retry)
	d.dropTry()
	switch {
	case d.lookUp != nil:
		d.lookUp() // its report still comes
	case d.handshake != nil:
		d.handshake.abort(why) // its report still comes, too
	case d.conn == nil:
		d.owner.Gone(d)
	case now:
		d.conn.Abort(why)
	default:
		d.conn.Finish(why, deadline)
	}
}

// Retire makes the present connection the last one, and ends a try that is under way. Any
// thread.
func (d *Dialer) Retire() {
	d.shard.Post(func() {
		d.ended = true
		if d.conn == nil {
			d.close(CauseDrained, true, time.Time{})
		}
	})
}

// dialAgain dials again once the receiver has taken enough of the earlier events.
func (d *Dialer) dialAgain() {
	if !d.closed && eventful(d.owner) {
		d.retry = d.shard.timers.after(eventsPause, d.dialAgain)
		return
	}
	d.dial()
}

// dial makes one try.
func (d *Dialer) dial() {
	if d.closed {
		return
	}
	switch {
	case d.known != nil:
		d.try(d.known)
		return
	case d.target.Literal():
		d.resolved(d.target.Dial(context.Background(), d.tcp.IPv6))
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.lookUp = cancel
	go func() {
		defer cancel()
		addrs, err := d.target.Dial(ctx, d.tcp.IPv6)
		d.shard.Post(func() {
			d.lookUp = nil
			if d.closed {
				d.failed()
				return
			}
			d.resolved(addrs, err)
		})
	}()
}

func (d *Dialer) resolved(addrs []netip.AddrPort, err error) {
	var to []Address
	if err == nil {
		for _, addr := range addrs {
			to = append(to, Address{AddrPort: addr})
		}
	}
	d.try(to)
}

// try begins to connect to one of the given addresses. None means that the name was not found.
func (d *Dialer) try(to []Address) {
	d.untried, d.last = to, Address{}
	if len(to) > 0 && d.redial.ConnectTimeout > 0 {
		d.limit = d.shard.timers.after(d.redial.ConnectTimeout, d.timedOut)
	}
	d.tryNext()
}

// tryNext begins an attempt with the next address. If no address and no attempt is left,
// the try has failed.
func (d *Dialer) tryNext() {
	d.shard.timers.cancel(d.next)
	for len(d.untried) > 0 {
		to := d.untried[0]
		d.untried = d.untried[1:]
		if d.start(to) {
			if len(d.untried) > 0 {
				d.next = d.shard.timers.after(attemptDelay, d.tryNext)
			}
			return
		}
	}
	if len(d.attempts) == 0 {
		d.dropTry()
		d.failed()
	}
}

// start begins an attempt. It returns false if the attempt has failed at once.
func (d *Dialer) start(to Address) bool {
	d.last = to
	fd, err := d.open(to)
	if err != nil {
		return false
	}
	a := &attempt{d, fd, to}
	err = sys.Connect(fd, to)
	if err != nil && err != sys.EINPROGRESS || d.shard.register(fd, a) != nil {
		a.observe(EventClosed, uint64(fd))
		sys.Close(fd)
		return false
	}
	d.attempts = append(d.attempts, a)
	if err != nil {
		a.observe(EventConnectDelayed, uint64(sys.EINPROGRESS))
	}
	return true
}

// timedOut ends a try that has taken too long.
func (d *Dialer) timedOut() {
	d.dropTry()
	d.failed()
}

// dropTry ends what is left of the present try.
func (d *Dialer) dropTry() {
	d.shard.timers.cancel(d.limit)
	d.shard.timers.cancel(d.next)
	d.untried = nil
	for len(d.attempts) > 0 {
		d.attempts[0].end()
	}
}

// end ends an attempt.
func (a *attempt) end() {
	a.dialer.last = a.remote
	a.observe(EventClosed, uint64(a.fd))
	a.dialer.shard.closeFd(a.fd)
	a.forget()
}

func (a *attempt) forget() {
	d := a.dialer
	d.attempts = slices.DeleteFunc(d.attempts, func(other *attempt) bool { return other == a })
}

func (a *attempt) observe(kind EventKind, value uint64) { a.dialer.observe(kind, value, a.remote) }

// observe reports an event about an address to the owner.
func (d *Dialer) observe(kind EventKind, value uint64, at Address) {
	if !d.owner.Observed() {
		return
	}
	remote := d.target.String() // its name was never found
	if at.IsValid() {
		remote = d.transport.remoteText(at)
	}
	d.owner.Observe(Event{Kind: kind, Value: value, Remote: remote})
}

// ready finds out how the attempt ended.
func (a *attempt) ready(what sys.Readiness) {
	if what&(sys.Writable|sys.Failed|sys.Gone) == 0 {
		return
	}
	d := a.dialer
	if sys.ConnectError(a.fd) != nil || a.remote.IsValid() && connectedToItself(a.fd) {
		a.end()
		d.tryNext()
		return
	}
	a.forget()
	d.dropTry()
	d.last = a.remote
	d.shard.unregister(a.fd)
	d.shard.conns.Add(1)
	d.shard.welcome(arrival{origin: &d.origin, fd: a.fd, remote: a.remote, alias: d.alias})
}

// connected takes the outcome of a connection; nil means that it failed.
func (d *Dialer) connected(c *Conn) {
	d.handshake, d.conn = nil, c
	switch {
	case c == nil:
		d.failed()
	default:
		d.alias = nil
		d.pause = d.redial.First
	}
}

// once reports whether the present connection or try is the last one.
func (d *Dialer) once() bool { return d.closed || d.ended || d.redial.First < 0 }

// connectedToItself reports whether the descriptor is connected to itself: the connect to a
// local port without a listener may use that very port as its own.
func connectedToItself(fd int) bool {
	local, err := sys.Sockname(fd)
	if err != nil {
		return true
	}
	remote, err := sys.Peername(fd)
	return err != nil || local == remote
}

// lost follows when the connection has ended.
func (d *Dialer) lost() {
	d.conn = nil
	d.failed()
}

// failed plans the next try, or ends the dialer if there is none.
func (d *Dialer) failed() {
	if d.once() {
		d.closed = true
		d.owner.Gone(d)
		return
	}
	d.observe(EventConnectRetried, uint64(d.pause/time.Millisecond), d.last)
	d.retry = d.shard.timers.after(max(d.pause, time.Millisecond), d.dialAgain)
	if d.redial.Max > d.redial.First {
		d.pause = min(max(2*d.pause, time.Millisecond), d.redial.Max)
	}
}
