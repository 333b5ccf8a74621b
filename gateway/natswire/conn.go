// SPDX-License-Identifier: MPL-2.0

package natswire

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// A Config says where a connection goes to, and who gets what comes.
type Config struct {
	Options nats.Options    // who connects, and how
	Servers func() []string // their URLs
	Pending int64           // bytes of messages that may wait for Take
	Longest int             // a message with more bytes, with headers, comes without them

	PingEvery time.Duration // how often NATS has to answer
	DeadAfter time.Duration // without one byte of it
	StuckFor  time.Duration // a write may take

	Take    func(some []Msg)                // messages, which hold until it returns
	Dropped func(one *Msg)                  // a message that did not fit; it holds until this returns
	Up      func(url string)                // connected again
	Lost    func(err error, inDoubt uint64) // and how many messages may have been lost with the connection
	Said    func(text string)               // an error that NATS tells
	Failed  func(err error)                 // no server can be had; again only when that has changed
}

// A Sub is a subscription.
type Sub struct {
	Subject string
	sid     uint64
	at      uint64 // what had been appended with it, for the present server; under mu of the Conn
}

// A Conn is a connection that finds another server when it is lost.
type Conn struct {
	c Config
	q queue

	mu      sync.Mutex
	room    sync.Cond // told of whatever a publisher may wait for
	net     net.Conn  // nil: away
	url     string
	cause   error // why a writer gave net up
	buf     []byte
	spare   []byte
	writing bool
	stopped bool // publishers do not wait any more
	closed  bool

	appended, handed uint64 // bytes, ever: to buf, and from it to a write
	published, given uint64 // messages, as above
	confirmed        uint64 // messages that NATS has for sure, or that are in doubt
	answered         uint64 // bytes up to the last PING that NATS has answered
	pings            []ping // not answered
	acked            uint64 // bytes that TCP had acknowledged when the way was slow last
	subs             map[uint64]*Sub
	last             uint64 // sid

	most   atomic.Int64 // max_payload of the server
	heard  atomic.Int64 // when something came, in ns of Unix
	stalls atomic.Uint64

	kick chan struct{} // for the goroutine that writes
	quit chan struct{}
	over sync.WaitGroup
}

// A ping is one that NATS has not answered.
type ping struct {
	at        uint64 // what had been appended with it
	published uint64 // what it confirms
	sent      time.Time
	done      chan error // nil: nobody waits
}

var (
	// ErrStopped says that nobody waits any more.
	ErrStopped = errors.New("the connection to NATS is being ended")
	// ErrTooLong says that the server takes no message of this length.
	ErrTooLong = errors.New("the message is longer than max_payload of NATS")
	// ErrLost says that the connection was lost meanwhile.
	ErrLost = errors.New("the connection to NATS was lost")
	errDead = errors.New("NATS does not answer")
)

// Dial connects to one of the servers.
func Dial(config Config) (*Conn, error) {
	c := &Conn{c: config, subs: map[uint64]*Sub{}, kick: make(chan struct{}, 1), quit: make(chan struct{})}
	c.room.L = &c.mu
	c.q.start(max(config.Pending, int64(config.Longest)+2*blockSize))
	g, err := c.greetAny()
	if err != nil {
		return nil, err
	}
	c.begin(g)
	c.over.Go(func() { c.live(g) })
	c.over.Go(c.deliver)
	c.over.Go(c.write)
	c.over.Go(c.watch)
	return c, nil
}

// greetAny tries all servers once.
func (c *Conn) greetAny() (g *greeted, err error) {
	if c.c.Options.InProcessServer != nil {
		return c.greetInside()
	}
	servers := c.c.Servers()
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	c.mu.Lock()
	last := c.url
	c.mu.Unlock()
	for i, url := range servers { // the one that was lost is tried last
		if url == last {
			servers[i], servers[len(servers)-1] = servers[len(servers)-1], url
			break
		}
	}
	err = errors.New("no server is known")
	for _, url := range servers {
		select {
		case <-c.quit:
			return nil, ErrStopped
		default:
		}
		if g, err = c.greet(url); err == nil {
			return g, nil
		}
	}
	return nil, err
}

// begin takes a new connection into service: it gets the subscriptions first, then what waits.
func (c *Conn) begin(g *greeted) {
	c.heard.Store(time.Now().UnixNano())
	c.most.Store(g.info.MaxPayload)
	c.mu.Lock()
	var lines []byte
	for _, sub := range c.subs {
		lines = appendSub(lines, sub)
	}
	for _, sub := range c.subs {
		sub.at = c.appended - uint64(len(c.buf)) + uint64(len(lines))
	}
	c.buf = append(lines, c.buf...)
	c.appended += uint64(len(lines))
	for i := range c.pings {
		c.pings[i].at += uint64(len(lines))
		c.pings[i].sent = time.Now()
	}
	c.net, c.url, c.cause, c.acked = g.conn, g.url, nil, 0
	if c.closed {
		_ = g.conn.Close()
	}
	c.room.Broadcast()
	c.mu.Unlock()
	c.wakeWriter()
}

// live reads, and connects again, until Close.
func (c *Conn) live(g *greeted) {
	r := reader{c: c}
	for {
		err := r.read(g)
		c.lost(g.conn, err)
		if g = c.again(); g == nil {
			c.q.close()
			return
		}
		c.begin(g)
		c.c.Up(g.url)
	}
}

// again connects to another server. nil: Close was called.
func (c *Conn) again() *greeted {
	said := ""
	for {
		select {
		case <-c.quit:
			return nil
		default:
		}
		g, err := c.greetAny()
		if err == nil {
			return g
		}
		if said != err.Error() {
			said = err.Error()
			c.c.Failed(err)
		}
		select {
		case <-c.quit:
			return nil
		case <-time.After(100*time.Millisecond + rand.N(100*time.Millisecond)):
		}
	}
}

// lost ends what depends on a connection.
func (c *Conn) lost(conn net.Conn, err error) {
	_ = conn.Close()
	c.mu.Lock()
	c.net = nil
	if c.cause != nil {
		err = c.cause
	}
	inDoubt := c.given - min(c.confirmed, c.given)
	c.confirmed = max(c.confirmed, c.given)
	var kept []ping
	for _, p := range c.pings {
		switch {
		case p.at > c.handed:
			kept = append(kept, p) // it is in the buffer
		case p.done != nil:
			p.done <- ErrLost
		}
	}
	c.pings = kept
	c.mu.Unlock()
	c.c.Lost(err, inDoubt)
}

// fail gives a connection up; the reader notices. The caller holds mu.
func (c *Conn) fail(conn net.Conn, err error) {
	if c.net == conn && c.cause == nil {
		c.cause = err
	}
	_ = conn.Close()
}

// answerAfter is how many times as long as a write a PING may wait for its answer, however much else comes: who has lost count of what
// comes takes an answer for a part of a message.
const answerAfter = 3

// watch asks NATS whether it has everything, and whether it is there.
func (c *Conn) watch() {
	const every = 200 * time.Millisecond
	tick := time.NewTicker(min(every, c.c.PingEvery))
	defer tick.Stop()
	for asked := time.Now(); ; {
		select {
		case <-c.quit:
			return
		case <-tick.C:
		}
		c.mu.Lock()
		switch {
		case c.net == nil:
		case len(c.pings) > 0:
			if c.overdue() {
				c.fail(c.net, errDead)
			}
		case c.published != c.confirmed || time.Since(asked) >= c.c.PingEvery:
			asked = time.Now()
			c.ping(nil)
			c.wakeWriter()
		}
		c.mu.Unlock()
	}
}

// overdue reports whether the answer to the first PING should have come. Its time begins anew as long as the way is slow, but takes some
// of what waits in the kernel, which may be megabytes in front of the PING. The caller holds mu.
func (c *Conn) overdue() bool {
	if acked, waits := progress(c.net); waits && acked != c.acked {
		c.acked, c.pings[0].sent = acked, time.Now()
	}
	silent, waits := time.Since(time.Unix(0, c.heard.Load())), time.Since(c.pings[0].sent)
	return silent > c.c.DeadAfter && waits > c.c.DeadAfter || waits > answerAfter*c.c.StuckFor
}

// ping appends a PING. The caller holds mu.
func (c *Conn) ping(done chan error) {
	c.line("PING\r\n")
	c.pings = append(c.pings, ping{c.appended, c.published, time.Now(), done})
}

// pong is the answer to the first of them.
func (c *Conn) pong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pings) == 0 {
		return
	}
	p := c.pings[0]
	c.pings = append(c.pings[:0], c.pings[1:]...)
	c.confirmed, c.answered = max(c.confirmed, p.published), max(c.answered, p.at)
	if p.done != nil {
		p.done <- nil
	}
}

// Sync waits until NATS has had everything until now.
func (c *Conn) Sync(most time.Duration) error {
	done := make(chan error, 1)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrStopped
	}
	c.ping(done)
	c.mu.Unlock()
	c.wakeWriter()
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return errDead
	}
}

// Subscribe begins to take messages of a subject, at the latest when Sync returns.
func (c *Conn) Subscribe(subject string) (*Sub, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrStopped
	}
	c.last++
	sub := &Sub{Subject: subject, sid: c.last}
	c.subs[sub.sid] = sub
	c.q.know(sub)
	if c.net != nil { // else begin does it
		c.line(string(appendSub(nil, sub)))
		c.wakeWriter()
	}
	sub.at = c.appended
	return sub, nil
}

// Has reports whether the present server has a subscription for sure, as it has when a Sync after Subscribe has returned.
func (c *Conn) Has(sub *Sub) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.net != nil && c.cause == nil && sub.at <= c.answered
}

func appendSub(lines []byte, sub *Sub) []byte {
	return fmt.Appendf(lines, "SUB %s %d\r\n", sub.Subject, sub.sid)
}

// Unsubscribe ends it. What is on its way still comes.
func (c *Conn) Unsubscribe(sub *Sub) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.subs, sub.sid)
	c.q.forget(sub)
	if c.net != nil && !c.closed {
		c.line("UNSUB " + strconv.FormatUint(sub.sid, 10) + "\r\n")
		c.wakeWriter()
	}
}

// Connected reports whether there is a server.
func (c *Conn) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.net != nil && c.cause == nil
}

// URL returns that of the server; "": there is none.
func (c *Conn) URL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.net == nil {
		return ""
	}
	return c.url
}

// MaxPayload returns the length of the longest message that the server takes.
func (c *Conn) MaxPayload() int64 { return c.most.Load() }

// Unconfirmed returns how many messages NATS may not have.
func (c *Conn) Unconfirmed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.published - min(c.confirmed, c.published)
}

// Stalls returns how often somebody had to wait for NATS.
func (c *Conn) Stalls() uint64 { return c.stalls.Load() }

// Waiting returns the bytes of messages that wait for Take, with what they take beside.
func (c *Conn) Waiting() int64 { return c.q.bytes() }

// Stop ends all waiting of publishers, now and later.
func (c *Conn) Stop() {
	c.mu.Lock()
	c.stopped = true
	c.room.Broadcast()
	c.mu.Unlock()
}

// Close ends the connection, with what is in the buffer.
func (c *Conn) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed, c.stopped = true, true
	if c.net != nil {
		c.fail(c.net, ErrStopped)
	}
	c.room.Broadcast()
	close(c.quit)
	c.mu.Unlock()
	c.over.Wait()
}
