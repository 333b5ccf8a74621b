// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/zlink/zlink/core/sockets/stream"
)

// An asker finds out who clients are: from a back end, or from their tokens.
type asker struct {
	g        *Gateway
	verifier *verifier     // of tokens; nil: back ends are asked
	places   chan struct{} // one for each question that is out
	ctx      context.Context
	cancel   context.CancelFunc
}

// questionsMost is how many questions may be out.
const questionsMost = 1024

// earlyMost is how many bytes of messages may wait for the answer about one client.
const earlyMost = 64 << 10

// What a question is about.
const (
	kindRequest = "request"
	kindMessage = "message"
)

// A verdict is how a question ended.
type verdict int

const (
	verdictAccepted verdict = iota
	verdictRefused
	verdictTimeout
	verdictNobody
	verdictMalformed
	verdictBusy
	verdictGone
	verdicts
)

var verdictNames = [verdicts]string{"accepted", "refused", "timeout", "no_responders", "malformed", "busy", "gone"}

// An answer says who a client is, or that it may not be one.
type answer struct {
	verdict              verdict
	status               int // 200 accepts
	text                 string
	user, token, service string
	groups, protocol     string
	body                 []byte
	until                time.Time // when a token is over; zero: never
}

func newAsker(g *Gateway) (*asker, error) {
	a := &asker{g: g, places: make(chan struct{}, questionsMost)}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	if g.config.JWTKey == "" {
		return a, nil
	}
	var err error
	a.verifier, err = newVerifier(&g.config)
	return a, err
}

// request is about somebody who asks to be let in. Who has no request is let in, and asked for a first message.
func (a *asker) request(c *client) {
	if transport := first(c.properties, "Transport"); !strings.HasPrefix(transport, "ws") {
		_ = a.g.socket.AcceptPeer(c.id)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a.ask(c, kindRequest, nil)
}

// expect waits for the first message of a client. The caller holds c.mu.
func (a *asker) expect(c *client) {
	c.timer = time.AfterFunc(a.g.config.AuthTimeout, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.state.CompareAndSwap(stateNew, stateAsked) {
			a.apply(c, kindMessage, answer{verdict: verdictTimeout, status: 504, text: "no first message came in time"})
		}
	})
}

// early takes a message of a client that is not open yet.
func (a *asker) early(c *client, msg *stream.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state.Load() {
	case stateOpen: // meanwhile
		a.g.sendEarly(c, early{msg.Body, msg.Text})
	case stateNew:
		a.ask(c, kindMessage, bytes.Clone(msg.Body))
	case stateAsked:
		c.waiting = append(c.waiting, early{bytes.Clone(msg.Body), msg.Text})
		if c.waitingSum += len(msg.Body) + 64; c.waitingSum > earlyMost {
			a.apply(c, kindMessage, answer{verdict: verdictBusy, status: 503, text: "too many messages before the answer"})
		}
	case stateRefused:
		c.lost++
		a.g.counts.dropped[wayIn][reasonAuth].Add(1)
	}
}

// ask asks about a client. The caller holds c.mu.
func (a *asker) ask(c *client, kind string, body []byte) {
	c.state.Store(stateAsked)
	if c.timer != nil {
		c.timer.Stop()
	}
	if a.verifier != nil {
		a.apply(c, kind, a.verifier.judge(c, kind, body))
		return
	}
	select {
	case a.places <- struct{}{}:
	default:
		a.apply(c, kind, answer{verdict: verdictBusy, status: 503, text: "too many questions are out"})
		return
	}
	question := a.question(c, kind, body)
	go func() {
		said := a.wait(question)
		<-a.places
		c.mu.Lock()
		defer c.mu.Unlock()
		a.apply(c, kind, said)
		a.g.bus.data.Wake() // for what establish has published
	}()
}

func (a *asker) question(c *client, kind string, body []byte) *nats.Msg {
	h := nats.Header{headerVersion: {protocolVersion}, headerKind: {kind}, headerServer: {a.g.server},
		headerID: {strconv.FormatUint(uint64(c.id), 10)}}
	for _, properties := range []nats.Header{c.properties, c.secret} {
		for name, value := range properties {
			h[name] = value
		}
	}
	return &nats.Msg{Subject: "zl.auth." + c.service, Header: h, Data: body}
}

// wait asks, and waits for the answer.
func (a *asker) wait(question *nats.Msg) answer {
	ctx, cancel := context.WithTimeout(a.ctx, a.g.config.AuthTimeout)
	defer cancel()
	m, err := a.g.bus.conn.RequestMsgWithContext(ctx, question)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return answer{verdict: verdictNobody, status: 503, text: "nobody can say who you are"}
	case err != nil:
		return answer{verdict: verdictTimeout, status: 504, text: "nobody said in time who you are"}
	}
	return read(m, a.g.config.MaxMessage)
}

// read makes sense of an answer. Its payload, too, is a message to a client.
func read(m *nats.Msg, longest int64) answer {
	bad := answer{verdict: verdictMalformed, status: 502, text: "the answer about you was malformed"}
	status, err := strconv.Atoi(first(m.Header, headerStatus))
	if err != nil || int64(len(m.Data)) > longest {
		return bad
	}
	said := answer{status: status, text: clip(first(m.Header, headerError)), user: first(m.Header, headerUser), token: first(m.Header, headerToken),
		service: first(m.Header, headerService), groups: first(m.Header, headerGroups), protocol: first(m.Header, headerProtocol), body: m.Data}
	switch {
	case status >= 400 && status <= 599:
		said.verdict = verdictRefused
	case status != 200 || !said.good():
		return bad
	}
	return said
}

// good reports whether what an accepting answer says can be.
func (s *answer) good() bool {
	if len(s.user) > 255 || len(s.token) > 255 || !utf8.ValidString(s.user) || clean(s.user) != s.user || clean(s.token) != s.token {
		return false
	}
	if s.service != "" && !tokenForm.MatchString(s.service) {
		return false
	}
	all := groupsIn(s.groups)
	for _, name := range all {
		if !goodGroup(name) {
			return false
		}
	}
	return len(all) <= groupsMost
}

// groupsIn returns the names of Zl-Groups.
func groupsIn(list string) (names []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// clip makes a text one that a refusal may have.
func clip(text string) string {
	text = clean(strings.ToValidUTF8(text, "?"))
	for len(text) > 120 {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// apply does what an answer says. The caller holds c.mu.
func (a *asker) apply(c *client, kind string, said answer) {
	if c.gone || c.state.Load() != stateAsked {
		a.g.counts.auth[verdictGone].Add(1)
		return
	}
	if said.verdict != verdictAccepted {
		a.g.counts.auth[said.verdict].Add(1)
		a.turnAway(c, kind, said)
		return
	}
	c.user, c.given, c.first = said.user, strings.Join(groupsIn(said.groups), ", "), said.body
	if c.key = said.user; c.key == "" {
		c.key = said.token
	}
	if said.service != "" {
		c.service = said.service
	}
	if !said.until.IsZero() {
		c.timer = time.AfterFunc(time.Until(said.until), func() { _ = a.g.socket.ClosePeerWith(c.id, 4401, "the token is over") })
	}
	if kind == kindMessage {
		a.g.counts.auth[verdictAccepted].Add(1)
		a.g.establish(c)
		return
	}
	var err error
	if said.protocol != "" {
		err = a.g.socket.AcceptPeerWith(c.id, said.protocol)
	} else {
		err = a.g.socket.AcceptPeer(c.id)
	}
	if err == nil { // Connected follows, and establishes it
		a.g.counts.auth[verdictAccepted].Add(1)
		return
	}
	a.g.counts.auth[verdictMalformed].Add(1)
	a.turnAway(c, kind, answer{status: 502, text: "the answer about you was malformed"})
}

// turnAway ends a client that may not be one.
func (a *asker) turnAway(c *client, kind string, said answer) {
	c.state.Store(stateRefused)
	c.lost += len(c.waiting)
	a.g.counts.dropped[wayIn][reasonAuth].Add(uint64(len(c.waiting)))
	c.waiting, c.waitingSum = nil, 0
	if kind == kindRequest {
		_ = a.g.socket.RefusePeer(c.id, said.status, said.text)
		return
	}
	a.g.sayFirst(c, said.body)
	_ = a.g.socket.ClosePeerWith(c.id, 4000+said.status, said.text)
}

// close ends the questions. a may be nil.
func (a *asker) close() {
	if a != nil {
		a.cancel()
	}
}
