// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
	"github.com/zlink/zlink/gateway/natswire"
)

// groups are those that have members here, and the subscriptions of the gateway.
type groups struct {
	out     *natswire.Sub
	control []*nats.Subscription

	mu  sync.Mutex
	all map[string]*group
}

// A group exists while it has members here.
type group struct {
	members int
	sub     *natswire.Sub
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
	sub, err := s.enter(g, c, name)
	s.mu.Unlock()
	if err != nil || !sure || g.bus.data.Has(sub) {
		return err
	}
	if err := g.bus.data.Sync(lastWords); err != nil {
		return &fault{503, "NATS does not answer: " + err.Error()}
	}
	return nil
}

func (s *groups) enter(g *Gateway, c *client, name string) (*natswire.Sub, error) {
	one := s.all[name]
	if slices.Contains(c.joined, name) {
		return one.sub, nil
	}
	if len(c.joined) >= groupsMost {
		return nil, &fault{400, fmt.Sprintf("client %d is in %d groups already", c.id, groupsMost)}
	}
	if g.clients.find(c.id) != c {
		return nil, unknownClient(c.id)
	}
	if err := g.socket.Join(c.id, name); err != nil {
		if errors.Is(err, errno.EHOSTUNREACH) {
			return nil, unknownClient(c.id)
		}
		return nil, &fault{reasonOf(err).status(), errno.Detail(err)}
	}
	if one == nil {
		sub, err := g.bus.data.Subscribe(groupPrefix + name)
		if err != nil {
			_ = g.socket.Leave(c.id, name)
			return nil, &fault{503, "NATS does not take the subscription: " + err.Error()}
		}
		one = &group{sub: sub}
		s.all[name] = one
	}
	one.members++
	c.joined = append(c.joined, name)
	return one.sub, nil
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
	g.bus.data.Unsubscribe(one.sub)
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

// slow returns how many requests the client of NATS has dropped, because the gateway did not take them.
func (s *groups) slow() (sum uint64) {
	for _, sub := range s.control {
		if dropped, err := sub.Dropped(); err == nil {
			sum += uint64(dropped)
		}
	}
	return sum
}

// nameOf returns the group of a message.
func nameOf(m *natswire.Msg) string {
	if m.Sub != nil {
		return strings.TrimPrefix(m.Sub.Subject, groupPrefix)
	}
	return string(bytes.TrimPrefix(m.Subject, []byte(groupPrefix))) // its last member has just left
}

// toGroup handles zl.group.
func (g *Gateway) toGroup(m *natswire.Msg) {
	g.counts.groupMessages.Add(1)
	refuse := func(why reason) {
		g.counts.dropped[wayGroup][why].Add(1)
		g.answer(m.Reply, why.status(), headerServer, g.server)
	}
	if g.oversized(m) {
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
	if except := m.Value(headerExcept); except != nil {
		server, text, _ := bytes.Cut(except, []byte("."))
		id, is := parseID(text)
		good = good && is
		if string(server) == g.server {
			options = append(options, stream.Except(id))
		}
	}
	if !good {
		refuse(reasonMalformed)
		return
	}
	missed := 0
	options = append(options, stream.Undelivered(func(uint32, error) { missed++ }))
	took, err := g.socket.Publish(nameOf(m), m.Body, options...)
	if err != nil {
		refuse(reasonOf(err))
		return
	}
	g.counts.deliveries.Add(uint64(took))
	g.counts.undelivered.Add(uint64(missed))
	g.answer(m.Reply, 200, headerServer, g.server, headerCount, strconv.Itoa(took))
}
