// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

// A Gateway has clients on a socket and back ends on NATS.
type Gateway struct {
	config  Config
	server  string // its name in subjects
	started time.Time

	socket   *stream.Socket
	bus      *bus
	clients  clients
	groups   groups
	asker    *asker
	presence *presence
	counts   counts
	delivery delivery
	services services
	filling  []*bundle // those that have messages; receive alone has them
	web      *web

	drain    atomic.Bool   // has begun
	hurry    sync.Once     // of quit
	quit     chan struct{} // closed: everything ends
	over     chan struct{} // closed: everything has ended
	problem  error         // why it did not end well; read it when over is closed
	listened []string
}

// Start begins to serve. An error is a sentence.
func Start(config Config) (*Gateway, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	g := &Gateway{config: config, server: config.Name + "-" + life(), started: time.Now(),
		quit: make(chan struct{}), over: make(chan struct{})}
	g.clients.all = map[uint32]*client{}
	g.groups.all = map[string]*group{}
	g.delivery.start(g)
	g.services.all = map[string]*service{}
	if err := g.open(); err != nil {
		g.shut()
		return nil, err
	}
	go g.run()
	return g, nil
}

// open takes the parts into service, the listeners last.
func (g *Gateway) open() (err error) {
	if g.asker, err = newAsker(g); err != nil {
		return err
	}
	if g.bus, err = connect(g); err != nil {
		return err
	}
	if g.socket, err = stream.Open(g.socketSettings()...); err != nil {
		return fmt.Errorf("a setting of the clients' side is wrong: %s", errno.Detail(err))
	}
	if err = g.listen(); err != nil { // who comes waits for run
		return err
	}
	if err = g.subscribe(); err != nil {
		return fmt.Errorf("cannot subscribe: %w", err)
	}
	if g.config.Presence {
		g.presence = newPresence(g)
	}
	return g.openWeb()
}

// life returns what makes the names of two lives of one gateway different.
func life() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// listen takes the listeners of the gateway that was here before, if there is one, or binds.
func (g *Gateway) listen() error {
	if path := g.config.TakeoverPath; path != "" {
		err := g.socket.Takeover(path, takeoverTime)
		switch {
		case err == nil:
			g.log("took the listeners of the gateway at %s", path)
			g.listened = []string{g.socket.Addr()}
			return nil
		case !errors.Is(err, errno.ENOENT) && !errors.Is(err, errno.ECONNREFUSED):
			return fmt.Errorf("--takeover %s: %s", path, errno.Detail(err))
		}
	}
	for _, endpoint := range g.config.Listen {
		if err := g.socket.Bind(everywhere(endpoint)); err != nil {
			return fmt.Errorf("cannot listen at %s: %s", endpoint, errno.Detail(err))
		}
		g.listened = append(g.listened, g.socket.Addr())
	}
	return nil
}

const takeoverTime = 10 * time.Second

// everywhere gives an endpoint without a host all addresses.
func everywhere(endpoint string) string { return strings.Replace(endpoint, "://:", "://*:", 1) }

// Endpoints returns where it listens, with the ports that the system chose.
func (g *Gateway) Endpoints() []string { return g.listened }

// Server returns its name in subjects.
func (g *Gateway) Server() string { return g.server }

// NATS returns the URL of the embedded server for back ends, or "".
func (g *Gateway) NATS() string { return g.bus.url() }

// Metrics returns the address of /metrics, or nil.
func (g *Gateway) Metrics() net.Addr { return g.web.address() }

// Drain takes the gateway out of service: it accepts nobody, ends its clients spread over the time, and then
// ends. Again with a shorter time: sooner.
func (g *Gateway) Drain(spread time.Duration, code int) error {
	err := g.socket.Drain(spread, code)
	if err != nil {
		return err
	}
	g.drain.Store(true)
	time.AfterFunc(spread+g.config.DrainPatience, func() { // NATS may be away for ever
		g.hurry.Do(func() {
			g.log("the drain is not over in time, and ends all the same")
			close(g.quit)
		})
	})
	return nil
}

// Close ends everything at once.
func (g *Gateway) Close() error {
	g.hurry.Do(func() { close(g.quit) })
	return g.Wait()
}

// Wait waits until the gateway has ended, and says why if that was not by Drain or Close.
func (g *Gateway) Wait() error {
	<-g.over
	return g.problem
}

// Done is closed when the gateway has ended.
func (g *Gateway) Done() <-chan struct{} { return g.over }

func (g *Gateway) run() {
	var running sync.WaitGroup
	if g.config.TakeoverPath != "" {
		running.Go(g.handOver)
	}
	g.problem = g.receive(g.context())
	g.hurry.Do(func() { close(g.quit) })
	g.shut()
	running.Wait()
	close(g.over)
}

// context ends with quit.
func (g *Gateway) context() context.Context { return quitting{g.quit} }

// quitting is a context that ends when a channel is closed.
type quitting struct{ quit chan struct{} }

func (q quitting) Deadline() (time.Time, bool) { return time.Time{}, false }
func (q quitting) Done() <-chan struct{}       { return q.quit }
func (q quitting) Value(any) any               { return nil }

func (q quitting) Err() error {
	select {
	case <-q.quit:
		return context.Canceled
	default:
		return nil
	}
}

// shut ends the parts, of which some may not be there.
func (g *Gateway) shut() {
	g.web.close()
	g.asker.close()
	g.presence.close()
	if g.socket != nil {
		ctx, cancel := context.WithTimeout(context.Background(), lastWords)
		_ = g.socket.Shutdown(ctx)
		cancel()
	}
	g.bus.close()
	g.services.over.Wait()
}

// lastWords bounds each thing that is waited for at the end, shutMost all of them: presence twice, clients, both connections to NATS.
const (
	lastWords = 2 * time.Second
	shutMost  = 5 * lastWords
)

// handOver gives the listeners to the next gateway with the same path, and then drains.
func (g *Gateway) handOver() {
	for {
		err := g.socket.Handover(g.config.TakeoverPath, -1)
		select {
		case <-g.quit:
			return
		default:
		}
		if err == nil {
			g.log("gave the listeners away, and drain")
			g.web.close()
			_ = g.Drain(g.config.Drain, 0)
			return
		}
		if errors.Is(err, errno.EFSM) || errors.Is(err, errno.ENOTSOCK) {
			return
		}
		g.log("nobody took the listeners: %s", errno.Detail(err))
		select {
		case <-g.quit:
			return
		case <-time.After(time.Second):
		}
	}
}

func (g *Gateway) log(format string, args ...any) {
	if g.config.Log != nil {
		g.config.Log(fmt.Sprintf(format, args...))
	}
}

// socketSettings are those of the clients' side.
func (g *Gateway) socketSettings() []stream.Setting {
	c := &g.config
	profile, framing := stream.ProfilePublic, stream.FramingMessages
	if c.Profile == profilePrivate {
		profile = stream.ProfilePrivate
	}
	if c.Framing == framingLength {
		framing = stream.FramingLength
	}
	all := []stream.Setting{stream.WithProfile(profile), stream.WithFraming(framing), stream.WithMaxMessageSize(c.MaxMessage),
		stream.WithFirstMessageTimeout(0), // who only listens may; the asker has a time-out of its own
		stream.WithFullPolicy(fullPolicies[c.Slow]), stream.WithProperties(g.kept()), stream.WithLinger(lastWords)}
	if c.Auth == authRequest {
		all = append(all, stream.WithAcceptTimeout(c.AuthTimeout+lastWords))
	}
	texts := []struct {
		value string
		with  func(string) stream.Setting
	}{{c.ProxyFrom, stream.WithProxyFrom}, {c.WebOrigins, stream.WithWebOrigins}, {c.WebProtocols, stream.WithWebProtocols},
		{c.WebHealth, stream.WithWebHealth}, {g.paths(), stream.WithWebPaths}}
	for _, t := range texts {
		if t.value != "" {
			all = append(all, t.with(t.value))
		}
	}
	if c.TLSCert != "" {
		all = append(all, stream.WithTLSKeyPair(c.TLSCert, c.TLSKey))
	}
	for limit, with := range map[*int]func(int) stream.Setting{c.MaxConnections: stream.WithMaxConnections, c.AddressConnections: stream.WithAddressConnections,
		c.AddressRate: stream.WithAddressAcceptRate, c.AcceptRate: stream.WithAcceptRate, c.SendBytes: stream.WithSendBytes} {
		if limit != nil {
			all = append(all, with(*limit))
		}
	}
	if c.SendTotal != nil {
		all = append(all, stream.WithSendBytesTotal(*c.SendTotal))
	}
	if c.RecvTotal != nil {
		all = append(all, stream.WithRecvBytesTotal(*c.RecvTotal))
	}
	if c.Idle != nil {
		all = append(all, stream.WithIdleTimeout(*c.Idle))
	}
	return all
}

var slowKinds = []string{"cut", "drop-newest", "drop-oldest", "refuse"}

var fullPolicies = map[string]int{"cut": stream.FullCut, "drop-newest": stream.FullDropNewest, "drop-oldest": stream.FullDropOldest,
	"refuse": stream.FullAgain}

// paths are those that a WebSocket may ask for besides the one of its endpoint.
func (g *Gateway) paths() string {
	all := []string{g.config.WebPaths}
	for _, r := range g.config.Routes {
		all = append(all, r.Path)
	}
	return strings.TrimSpace(strings.Join(all, " "))
}
