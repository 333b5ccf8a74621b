// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

// groups are those that have members here, and the subscriptions of the gateway.
type groups struct {
	out     *nats.Subscription
	control []*nats.Subscription

	mu  sync.Mutex
	all map[string]*group
}

// A group exists while it has members here.
type group struct {
	members int
	sub     *nats.Subscription
	ready   bool // NATS knows of the subscription
}

// A fault is a status and a sentence.
type fault struct {
	status int
	text   string
}

func (f *fault) Error() string { return f.text }

// goodGroup reports whether a name may be a group's.
func goodGroup(name string) bool {
	if name == "" || len(name) > 255 || name[0] == '.' || name[len(name)-1] == '.' || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == '*' || c == '>' {
			return false
		}
	}
	return true
}

// groupsMost is how many groups one client may be in.
const groupsMost = 1024

// join makes a client a member. With sure, NATS knows of it when join returns.
func (s *groups) join(g *Gateway, c *client, name string, sure bool) error {
	if !goodGroup(name) {
		return &fault{400, fmt.Sprintf("%.64q is no name of a group", name)}
	}
	s.mu.Lock()
	ready, err := s.enter(g, c, name)
	s.mu.Unlock()
	if err != nil || ready || !sure {
		return err
	}
	if err := g.bus.conn.FlushTimeout(lastWords); err != nil {
		return &fault{503, "NATS does not answer: " + err.Error()}
	}
	s.mu.Lock()
	if one := s.all[name]; one != nil {
		one.ready = true
	}
	s.mu.Unlock()
	return nil
}

func (s *groups) enter(g *Gateway, c *client, name string) (ready bool, err error) {
	one := s.all[name]
	if slices.Contains(c.joined, name) {
		return one.ready, nil
	}
	if len(c.joined) >= groupsMost {
		return false, &fault{400, fmt.Sprintf("client %d is in %d groups already", c.id, groupsMost)}
	}
	if g.clients.find(c.id) != c {
		return false, unknownClient(c.id)
	}
	if err := g.socket.Join(c.id, name); err != nil {
		if errors.Is(err, errno.EHOSTUNREACH) {
			return false, unknownClient(c.id)
		}
		return false, &fault{reasonOf(err).status(), errno.Detail(err)}
	}
	if one == nil {
		sub, err := g.bus.conn.ChanSubscribe(groupPrefix+name, g.inbound.channel)
		if err != nil {
			_ = g.socket.Leave(c.id, name)
			return false, &fault{503, "NATS does not take the subscription: " + err.Error()}
		}
		one = &group{sub: sub}
		s.all[name] = one
	}
	one.members++
	c.joined = append(c.joined, name)
	return one.ready, nil
}

func unknownClient(id uint32) *fault {
	return &fault{404, fmt.Sprintf("there is no client %d here", id)}
}

// leave ends a membership, if there is one.
func (s *groups) leave(g *Gateway, c *client, name string) error {
	if !goodGroup(name) {
		return &fault{400, fmt.Sprintf("%.64q is no name of a group", name)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(c.joined, name)
	if at < 0 {
		return nil
	}
	c.joined = slices.Delete(c.joined, at, at+1)
	_ = g.socket.Leave(c.id, name)
	s.without(g, name)
	return nil
}

// leaveAll is for a client that has gone, and has left the socket's groups with that.
func (s *groups) leaveAll(g *Gateway, c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range c.joined {
		s.without(g, name)
	}
	c.joined = nil
}

// without counts a member less.
func (s *groups) without(g *Gateway, name string) {
	one := s.all[name]
	if one.members--; one.members > 0 {
		return
	}
	delete(s.all, name)
	if dropped, err := one.sub.Dropped(); err == nil {
		g.counts.retiredSlow.Add(uint64(dropped))
	}
	_ = one.sub.Unsubscribe()
}

// of returns the groups of a client.
func (s *groups) of(c *client) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(c.joined)
}

func (s *groups) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// slow returns how many messages the client of NATS has dropped, because the gateway did not take them.
func (s *groups) slow(g *Gateway) uint64 {
	sum := g.inbound.dropped.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	sum += g.counts.retiredSlow.Load()
	subs := slices.Clone(s.control)
	if s.out != nil {
		subs = append(subs, s.out)
	}
	for _, one := range s.all {
		subs = append(subs, one.sub)
	}
	for _, sub := range subs {
		if dropped, err := sub.Dropped(); err == nil {
			sum += uint64(dropped)
		}
	}
	return sum
}

// toGroup handles zl.group.
func (g *Gateway) toGroup(m *nats.Msg, name string) {
	g.counts.groupMessages.Add(1)
	refuse := func(why reason) {
		g.counts.dropped[wayGroup][why].Add(1)
		g.answer(m.Reply, why.status(), headerServer, g.server)
	}
	if int64(len(m.Data)) > g.config.MaxMessage {
		refuse(reasonOversized)
		return
	}
	text, key, keyed, good := kindOf(m)
	var options []stream.CastOption
	if text {
		options = append(options, stream.AsText())
	}
	if keyed {
		options = append(options, stream.WithKey(key))
	}
	if except := first(m.Header, headerExcept); except != "" {
		server, text, _ := strings.Cut(except, ".")
		id, is := parseID(text)
		good = good && is
		if server == g.server {
			options = append(options, stream.Except(id))
		}
	}
	if !good {
		refuse(reasonMalformed)
		return
	}
	missed := 0
	options = append(options, stream.Undelivered(func(uint32, error) { missed++ }))
	took, err := g.socket.Publish(name, m.Data, options...)
	if err != nil {
		refuse(reasonOf(err))
		return
	}
	g.counts.deliveries.Add(uint64(took))
	g.counts.undelivered.Add(uint64(missed))
	g.answer(m.Reply, 200, headerServer, g.server, headerCount, strconv.Itoa(took))
}
