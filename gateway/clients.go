// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/zlink/zlink/core/sockets/stream"
	"github.com/zlink/zlink/gateway/natswire"
)

// A client is a peer of the socket.
type client struct {
	id    uint32
	state atomic.Uint32 // stateNew …
	since time.Time

	mu         sync.Mutex // what follows, which does not change once the state is open, but for groups and gone
	service    string
	to         *service // of that name; nil: it was never open
	user       string
	key        string // of its presence; "": it has none
	given      string // groups of the authentication, with ", " between
	line       string // of what it sends, as natswire has it; "": it was never open
	header     string // of what it sends
	textHeader string // the same for text
	properties nats.Header
	secret     nats.Header // properties that only questions tell
	waiting    []early     // messages from before it was open
	waitingSum int         // bytes of these
	lost       int         // messages that waited for nothing
	gone       bool
	timer      *time.Timer // of its authentication, or of its token
	first      []byte      // what it gets when it is open

	joined []string // under the lock of groups
}

// An early message came before its client was open.
type early struct {
	body []byte
	text bool
}

// The states of a client. From stateTold on messages to it are sent, and it may join groups.
const (
	stateNew     = 0 // its first message says who it is, or its request is being looked at
	stateAsked   = 1 // the question is out
	stateRefused = 2 // it is being ended
	stateTold    = 3 // back ends are being told of it; only while mu is held
	stateOpen    = 4 // its messages go to NATS
)

// known reports whether back ends may have been told of a client.
func (c *client) known() bool { return c.state.Load() >= stateTold }

// clients are all there are. Only receive changes the table, so it reads without the lock.
type clients struct {
	mu  sync.RWMutex
	all map[uint32]*client
}

func (c *clients) find(id uint32) *client {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.all[id]
}

func (c *clients) count() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.all)
}

func (c *clients) add(one *client) {
	c.mu.Lock()
	c.all[one.id] = one
	c.mu.Unlock()
}

func (c *clients) remove(id uint32) {
	c.mu.Lock()
	delete(c.all, id)
	c.mu.Unlock()
}

// Headers of the protocol.
const (
	headerVersion    = "Zl-Version"
	headerStatus     = "Zl-Status"
	headerError      = "Zl-Error"
	headerText       = "Zl-Text"
	headerKey        = "Zl-Key"
	headerUser       = "Zl-User"
	headerToken      = "Zl-Token"
	headerGroups     = "Zl-Groups"
	headerService    = "Zl-Service"
	headerProtocol   = "Zl-Protocol"
	headerKind       = "Zl-Kind"
	headerServer     = "Zl-Server"
	headerID         = "Zl-Id"
	headerSince      = "Zl-Since"
	headerReason     = "Zl-Reason"
	headerReasonName = "Zl-Reason-Name"
	headerCloseCode  = "Zl-Close-Code"
	headerCloseText  = "Zl-Close-Text"
	headerLostAuth   = "Zl-Lost-Auth"
	headerExcept     = "Zl-Except"
	headerCount      = "Zl-Count"
)

// plainText are the headers of text of a client without a user.
var plainText = natswire.Header(headerText, "1")

const protocolVersion = "1"

// newClient makes one of somebody who asks, or has come.
func (g *Gateway) newClient(msg *stream.Message) *client {
	c := &client{id: msg.Peer, since: time.Now(), properties: nats.Header{}}
	g.keep(c, msg)
	c.service = g.route(first(c.properties, "WS-Path"))
	g.clients.add(c)
	return c
}

// route returns the service of a path.
func (g *Gateway) route(path string) string {
	for _, r := range g.config.Routes {
		if prefix, is := strings.CutSuffix(r.Path, "*"); r.Path == path || is && strings.HasPrefix(path, prefix) {
			return r.Service
		}
	}
	return g.config.Service
}

func first(h nats.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// alwaysKept are properties that every peer has.
var alwaysKept = []string{"Transport", "Peer-Address", "Peer-Port"}

const authorization = "WS-Header:Authorization"

// kept returns the properties that the socket has to keep.
func (g *Gateway) kept() string {
	list := g.config.Properties
	if len(g.config.Routes) > 0 && !names(list, "WS-Path") {
		list += " WS-Path"
	}
	if g.config.Auth == authRequest && !names(list, authorization) {
		list += " " + authorization
	}
	if g.config.JWTKey != "" && g.config.Auth == authRequest && !names(list, "WS-Query") {
		list += " WS-Query"
	}
	return strings.TrimSpace(list)
}

func names(list, name string) bool {
	for _, entry := range listed(list) {
		if strings.EqualFold(entry, name) {
			return true
		}
	}
	return false
}

// listed splits a list with commas or blanks between.
func listed(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// keep notes the properties of a client. What could be a password is for questions only.
func (g *Gateway) keep(c *client, msg *stream.Message) {
	for _, name := range append(listed(g.kept()), alwaysKept...) {
		value, has := msg.Property(name)
		if !has && name == "Transport" {
			value, _ = g.socket.PeerProperty(msg.Peer, name)
			has = value != ""
		}
		if !has {
			continue
		}
		header, value := strings.Replace(name, ":", "-", 1), clean(value)
		if g.config.Auth == authRequest && isSecret(name) {
			if c.secret == nil {
				c.secret = nats.Header{}
			}
			c.secret[header] = []string{value}
			continue
		}
		c.properties[header] = []string{value}
	}
}

func isSecret(name string) bool {
	return strings.EqualFold(name, authorization) || strings.EqualFold(name, "WS-Header:Cookie") || name == "WS-Query"
}

// clean makes a value one that a header may have.
func clean(value string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.Clone(value)))
}

// establish makes a client one whose messages go to NATS. The caller holds c.mu.
func (g *Gateway) establish(c *client) {
	address := g.server + "." + strconv.FormatUint(uint64(c.id), 10)
	c.line, c.textHeader = natswire.Line("zl.in."+c.service+"."+address, "zl.out."+address), plainText
	if c.user != "" {
		c.header, c.textHeader = natswire.Header(headerUser, c.user), natswire.Header(headerText, "1", headerUser, c.user)
	}
	c.secret, c.to = nil, g.enter(c.service)
	g.sayFirst(c, c.first)
	c.first = nil
	for _, name := range listed(c.given) {
		if err := g.groups.join(g, c, name, false); err != nil && g.config.Log != nil {
			g.log("client %d cannot join %s: %v", c.id, name, err)
		}
	}
	c.state.Store(stateTold) // before the event: a back end may act on that at once
	g.counts.connects.Add(1)
	g.count(g.publish(g.event(c, "connect")))
	if c.key != "" {
		g.presence.put(c)
	}
	for _, one := range c.waiting {
		g.sendEarly(c, one)
	}
	c.waiting, c.waitingSum = nil, 0
	c.state.Store(stateOpen)
}

// sayFirst sends what the answer to the question about a client has for it. It counts as a message to the client.
func (g *Gateway) sayFirst(c *client, body []byte) {
	if len(body) == 0 {
		return
	}
	g.counts.outMessages.Add(1)
	g.counts.outBytes.Add(uint64(len(body)))
	if err := g.socket.TrySend(c.id, body); err != nil {
		g.counts.dropped[wayOut][reasonOf(err)].Add(1)
		return
	}
	g.counts.sentMessages.Add(1)
	g.counts.sentBytes.Add(uint64(len(body)))
}

// count notes an event that NATS did not take.
func (g *Gateway) count(err error) {
	if err != nil {
		g.counts.dropped[wayEvent][reasonNATS].Add(1)
	}
}

// event returns what is told of a client.
func (g *Gateway) event(c *client, kind string) *nats.Msg {
	id := strconv.FormatUint(uint64(c.id), 10)
	h := nats.Header{headerVersion: {protocolVersion}, headerServer: {g.server}, headerID: {id}}
	for name, value := range c.properties {
		h[name] = value
	}
	set(h, headerUser, c.user)
	set(h, headerGroups, c.given)
	return &nats.Msg{Subject: "zl.event." + c.service + "." + kind + "." + g.server + "." + id, Header: h}
}

func set(h nats.Header, name, value string) {
	if value != "" {
		h[name] = []string{value}
	}
}

// goodbye tells that a client has gone, if it was told that it came.
func (g *Gateway) goodbye(c *client, msg *stream.Message) {
	g.clients.remove(c.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.lost += len(c.waiting)
	g.counts.dropped[wayIn][reasonAuth].Add(uint64(len(c.waiting)))
	c.waiting = nil
	if c.line == "" { // it was never open
		return
	}
	g.leave(c.to)
	g.groups.leaveAll(g, c)
	if c.key != "" {
		g.presence.remove(c)
	}
	why := msg.Reason()
	g.counts.disconnects[why].Add(1)
	event := g.event(c, "disconnect")
	event.Header[headerSince] = []string{c.since.UTC().Format(time.RFC3339Nano)}
	event.Header[headerReason] = []string{strconv.Itoa(int(why))}
	event.Header[headerReasonName] = []string{reasonName(why)}
	if code, text := msg.CloseCode(); code != 0 {
		event.Header[headerCloseCode] = []string{strconv.Itoa(code)}
		set(event.Header, headerCloseText, clean(text))
	}
	if c.lost > 0 {
		event.Header[headerLostAuth] = []string{strconv.Itoa(c.lost)}
	}
	g.count(g.publish(event))
}
