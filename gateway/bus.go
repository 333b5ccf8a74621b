// SPDX-License-Identifier: MPL-2.0

package gateway

import (
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
)

// A bus is the gateway's connection to NATS, and the embedded server if there is one.
type bus struct {
	conn     *nats.Conn
	embedded *server.Server
	store    string // a temporary folder; "": none
	up       chan struct{}
	again    chan struct{} // for presence: it was away
	away     atomic.Int64  // when the connection was lost, in ns of Unix; 0: it is there

	published atomic.Uint64 // messages given to the connection
	confirmed atomic.Uint64 // of those, that NATS has answered since
}

// headerRoom is what headers may add to a message, in bytes.
const headerRoom = 64 << 10

// stuckAfter is how long a write to NATS may take before another server is tried.
const stuckAfter = 10 * time.Second

// connect starts the embedded server or looks for the others, and connects.
func connect(g *Gateway) (*bus, error) {
	b := &bus{up: make(chan struct{}, 1), again: make(chan struct{}, 1)}
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
	if most := conn.MaxPayload(); most < g.config.MaxMessage {
		b.close()
		return nil, fmt.Errorf("--max-message %d is more than NATS takes: its max_payload is %d", g.config.MaxMessage, most)
	}
	go b.confirm(g)
	return b, nil
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
		if b.store, err = os.MkdirTemp("", "zlink-gateway-"); err != nil {
			return fmt.Errorf("the embedded NATS has no folder: %w", err)
		}
		o.StoreDir = b.store
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
		nats.ReconnectBufSize(-1), // what cannot be sent stays with the sockets
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { b.lost(g, err) }),
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

// lost tells that the connection is gone. What NATS had not confirmed may be gone with it.
func (b *bus) lost(g *Gateway, err error) {
	b.away.CompareAndSwap(0, time.Now().UnixNano())
	published := b.published.Load()
	if confirmed := b.confirmed.Swap(published); confirmed < published {
		g.counts.inDoubt.Add(published - confirmed)
	}
	select {
	case <-g.quit:
		return // as it should be
	default:
	}
	g.counts.natsLost.Add(1)
	g.log("lost the connection to NATS: %v", err)
}

func (b *bus) back(g *Gateway, conn *nats.Conn) {
	b.away.Store(0)
	g.log("connected to NATS again, at %s", redact(conn.ConnectedUrl()))
	for _, told := range []chan struct{}{b.up, b.again} {
		select {
		case told <- struct{}{}:
		default:
		}
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

// confirmEvery is how often NATS is asked whether it has everything.
const confirmEvery = 200 * time.Millisecond

// confirm keeps count of what NATS has for sure.
func (b *bus) confirm(g *Gateway) {
	tick := time.NewTicker(confirmEvery)
	defer tick.Stop()
	for {
		select {
		case <-g.over:
			return
		case <-tick.C:
		}
		if b.conn.IsClosed() {
			return
		}
		sent, lost := b.published.Load(), g.counts.natsLost.Load()
		if sent == b.confirmed.Load() || b.conn.FlushTimeout(stuckAfter) != nil {
			continue
		}
		if g.counts.natsLost.Load() == lost {
			b.confirmed.Store(sent)
		}
	}
}

// publish gives a message to NATS, and waits while NATS is away. false: the gateway ends.
func (g *Gateway) publish(msg *nats.Msg) error {
	for {
		err := g.bus.conn.PublishMsg(msg)
		if err == nil {
			g.bus.published.Add(1)
			return nil
		}
		if !g.awaitNATS(err) {
			return err
		}
	}
}

// publishBody is publish of a message without headers.
func (g *Gateway) publishBody(subject, reply string, body []byte) error {
	for {
		err := g.bus.conn.PublishRequest(subject, reply, body)
		if err == nil {
			g.bus.published.Add(1)
			return nil
		}
		if !g.awaitNATS(err) {
			return err
		}
	}
}

// awaitNATS waits until it is worth trying again. false: it is not.
func (g *Gateway) awaitNATS(err error) bool {
	if !errors.Is(err, nats.ErrReconnectBufExceeded) && !errors.Is(err, nats.ErrConnectionReconnecting) {
		return false
	}
	g.counts.natsStalls.Add(1)
	select {
	case <-g.quit:
		return false
	case <-g.bus.up:
	case <-time.After(100 * time.Millisecond): // up was for somebody else
	}
	return true
}

// answer sends a status to who gave a reply subject.
func (g *Gateway) answer(reply string, status int, more ...string) {
	if reply == "" {
		return
	}
	h := nats.Header{headerStatus: {strconv.Itoa(status)}}
	for i := 0; i+1 < len(more); i += 2 {
		h[more[i]] = []string{more[i+1]}
	}
	if g.bus.conn.PublishMsg(&nats.Msg{Subject: reply, Header: h}) != nil {
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
	if b.conn != nil {
		_ = b.conn.FlushTimeout(lastWords)
		b.conn.Close()
	}
	if b.embedded != nil {
		b.embedded.Shutdown()
		b.embedded.WaitForShutdown()
	}
	if b.store != "" {
		_ = os.RemoveAll(b.store)
	}
}
