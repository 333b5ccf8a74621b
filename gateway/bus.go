// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/zlink/zlink/gateway/natswire"
)

// A bus is the gateway's connections to NATS, and the embedded server if there is one.
type bus struct {
	conn     *nats.Conn     // for requests and answers: control, questions, presence
	data     *natswire.Conn // for messages and events
	idle     func() bool    // ends what stops data when the gateway ends
	embedded *server.Server
	store    *store        // nil: none
	closing  atomic.Bool   // connections that end are not lost
	again    chan struct{} // for presence: it was away
}

// headerRoom is what headers may add to a message, in bytes.
const headerRoom = 64 << 10

// stuckAfter is how long a write to NATS may take before another server is tried.
const stuckAfter = 10 * time.Second

// connect starts the embedded server or looks for the others, and connects.
func connect(g *Gateway) (*bus, error) {
	b := &bus{again: make(chan struct{}, 1)}
	urls := strings.Join(g.config.NATS, ",")
	if urls == "" {
		if err := b.embed(g); err != nil {
			b.close()
			return nil, err
		}
		urls = b.embedded.ClientURL()
	}
	conn, err := nats.Connect(urls, b.options(g)...)
	if err != nil {
		b.close()
		return nil, fmt.Errorf("cannot connect to NATS at %s: %w", redact(urls), err)
	}
	b.conn = conn
	if b.data, err = natswire.Dial(b.wire(g)); err != nil {
		b.close()
		return nil, fmt.Errorf("cannot connect to NATS at %s: %w", redact(urls), err)
	}
	b.idle = context.AfterFunc(g.context(), b.data.Stop)
	if most := b.data.MaxPayload(); most < g.config.MaxMessage || g.config.Bundle == bundleOn && most < g.config.MaxMessage+bundleHead {
		b.close()
		return nil, fmt.Errorf("--max-message %d is more than NATS takes: its max_payload is %d", g.config.MaxMessage, most)
	}
	return b, nil
}

// wire says what the connection for messages is.
func (b *bus) wire(g *Gateway) natswire.Config {
	o := nats.GetDefaultOptions()
	for _, option := range b.options(g) {
		_ = option(&o) // nats.Connect has taken them
	}
	o.Name, o.Servers = o.Name+", messages", g.config.NATS
	return natswire.Config{Options: o, Servers: b.conn.Servers, Pending: g.config.NATSPending, Longest: g.longest(),
		PingEvery: o.PingInterval, DeadAfter: 3 * o.PingInterval, StuckFor: stuckAfter,
		Take: g.deliver, Dropped: g.tooMuch,
		Up:     func(url string) { g.log("connected to NATS again for messages, at %s", redact(url)) },
		Lost:   func(err error, inDoubt uint64) { g.counts.inDoubt.Add(inDoubt); b.lost(g, lostMessages, err) },
		Said:   func(text string) { b.said(g, text) },
		Failed: func(err error) { g.log("no NATS can be had for messages: %v", err) }}
}

// longest is the length of the longest message of NATS that is kept.
func (g *Gateway) longest() int {
	longest := int(g.config.MaxMessage) + headerRoom
	if g.config.Bundle != bundleOff {
		longest = max(longest, bundleMost)
	}
	return longest
}

// redact leaves out who connects.
func redact(urls string) string {
	all := strings.Split(urls, ",")
	for i, url := range all {
		if at := strings.LastIndex(url, "@"); at >= 0 {
			scheme, _, _ := strings.Cut(url, "://")
			all[i] = scheme + "://…" + url[at:]
		}
	}
	return strings.Join(all, ",")
}

// embed starts a server of NATS in this process.
func (b *bus) embed(g *Gateway) (err error) {
	o := &server.Options{ServerName: g.server, NoSigs: true, NoLog: true, MaxPayload: maxPayload, Authorization: g.config.NATSToken,
		JetStream: true, JetStreamMaxMemory: 256 << 20, JetStreamMaxStore: 1 << 20, StoreDir: g.config.NATSStore, DontListen: g.config.NATSListen == nowhere}
	if !o.DontListen {
		host, port, _ := net.SplitHostPort(g.config.NATSListen)
		o.Host = host
		if o.Port, err = net.LookupPort("tcp", port); err != nil {
			return fmt.Errorf("--nats-listen %s: %w", g.config.NATSListen, err)
		}
		if o.Port == 0 {
			o.Port = server.RANDOM_PORT
		}
		// A server that cannot listen would end the process.
		try, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			return fmt.Errorf("the embedded NATS cannot listen at %s: %w; --nats names other servers, --nats-listen another address", g.config.NATSListen, err)
		}
		_ = try.Close()
	}
	if o.StoreDir == "" {
		if b.store, err = newStore(os.TempDir()); err != nil {
			return fmt.Errorf("the embedded NATS has no folder: %w", err)
		}
		o.StoreDir = b.store.path
	}
	if b.embedded, err = server.NewServer(o); err != nil {
		return fmt.Errorf("the embedded NATS does not start: %w", err)
	}
	b.embedded.Start()
	if !o.DontListen && !b.embedded.ReadyForConnections(10*time.Second) {
		return errors.New("the embedded NATS does not start within 10 s")
	}
	return nil
}

func (b *bus) options(g *Gateway) []nats.Option {
	c := &g.config
	all := []nats.Option{nats.Name("zlink-gateway " + g.server), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond), nats.Timeout(2 * time.Second), nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2), nats.FlusherTimeout(stuckAfter),
		nats.ReconnectBufSize(-1),   // what cannot be sent stays with the sockets
		nats.IgnoreAuthErrorAbort(), // credentials may come right
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.lost(g, lostControl, err) }),
		nats.ReconnectHandler(func(conn *nats.Conn) { b.back(g, conn) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { b.fault(g, sub, err) })}
	if b.embedded != nil {
		all = append(all, nats.InProcessServer(b.embedded))
		if c.NATSToken != "" {
			all = append(all, nats.Token(c.NATSToken))
		}
	} else { // one that is cut off says nothing: another one has to be found while clients still wait
		all = append(all, nats.PingInterval(700*time.Millisecond))
	}
	if c.NATSCreds != "" {
		all = append(all, nats.UserCredentials(c.NATSCreds))
	}
	if c.NATSCA != "" {
		all = append(all, nats.RootCAs(c.NATSCA))
	}
	if c.NATSCert != "" {
		all = append(all, nats.ClientCert(c.NATSCert, c.NATSKey))
	}
	return all
}

// The connections that can be lost.
const (
	lostMessages = iota
	lostControl
	losses
)

var lossNames = [losses]string{"messages", "control"}

// lost tells that a connection is gone.
func (b *bus) lost(g *Gateway, which int, err error) {
	select {
	case <-g.quit:
		return // as it should be
	default:
	}
	if b.closing.Load() { // it could not start
		return
	}
	g.counts.natsLost[which].Add(1)
	g.log("lost the connection to NATS for %s: %v", lossNames[which], err)
}

func (b *bus) back(g *Gateway, conn *nats.Conn) {
	g.log("connected to NATS again for control, at %s", redact(conn.ConnectedUrl()))
	select {
	case b.again <- struct{}{}:
	default:
	}
}

// said takes an error of NATS. One that says that a message may not be published means that nobody gets that.
func (b *bus) said(g *Gateway, text string) {
	g.log("NATS says: %s", text)
	subject, is := strings.CutPrefix(text, "Permissions Violation for Publish to ")
	if !is {
		return
	}
	switch subject = strings.Trim(subject, `"`); {
	case strings.HasPrefix(subject, "zl.in."), strings.HasPrefix(subject, "zl.bundle.in."): // of a bundle nobody can tell how many it had
		g.counts.dropped[wayIn][reasonNATS].Add(1)
	case strings.HasPrefix(subject, "zl.event."):
		g.counts.dropped[wayEvent][reasonNATS].Add(1)
	default:
		g.counts.unanswered.Add(1)
	}
}

func (b *bus) fault(g *Gateway, sub *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		return // counted where the subscription's are
	}
	if sub != nil {
		g.log("NATS says of %s: %v", sub.Subject, err)
		return
	}
	g.log("NATS says: %v", err)
}

// publish gives a message to NATS, and waits while NATS is away.
func (g *Gateway) publish(msg *nats.Msg) error {
	pairs := make([]string, 0, 2*len(msg.Header))
	for name, values := range msg.Header {
		pairs = append(pairs, name, values[0])
	}
	return g.bus.data.Publish(natswire.Line(msg.Subject, msg.Reply), natswire.Header(pairs...), msg.Data)
}

// answer sends a status to who gave a reply subject, unless that takes time. A subject of the gateways' own
// would bring the status to clients, as a message.
func (g *Gateway) answer(reply []byte, status int, more ...string) {
	if reply == nil {
		return
	}
	if bytes.HasPrefix(reply, []byte("zl.")) {
		g.counts.unanswered.Add(1)
		return
	}
	header := natswire.Header(append([]string{headerStatus, strconv.Itoa(status)}, more...)...)
	if !g.bus.data.TryPublish(natswire.Line(string(reply), ""), header, nil) {
		g.counts.unanswered.Add(1)
	}
}

func (b *bus) url() string {
	if b == nil || b.embedded == nil || b.embedded.Addr() == nil {
		return ""
	}
	return b.embedded.ClientURL()
}

// close sends what waits, and ends the connection and the server. b may be nil.
func (b *bus) close() {
	if b == nil {
		return
	}
	b.closing.Store(true)
	if b.data != nil {
		if b.data.Connected() {
			_ = b.data.Sync(lastWords)
		}
		if b.idle != nil {
			b.idle()
		}
		b.data.Close()
	}
	if b.conn != nil {
		if b.conn.IsConnected() {
			_ = b.conn.FlushTimeout(lastWords)
		}
		b.conn.Close()
	}
	if b.embedded != nil {
		b.embedded.Shutdown()
		b.embedded.WaitForShutdown()
	}
	b.store.remove()
}
