// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"strconv"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

// setProperties makes what STREAM_PROPERTIES says that of later binds and connects.
func (o *options) setProperties() error {
	list, err := engine.ParseProperties(o.strings[sockets.OptProperties])
	if err != nil {
		return sockets.BadOption(sockets.OptProperties, "does not take the list: %s", err)
	}
	o.properties = list
	return nil
}

// setWebRules makes an option about requests for WebSockets that of later binds.
func (o *options) setWebRules(opt sockets.Option) (err error) {
	text, rules := o.strings[opt], o.web
	switch opt {
	case sockets.OptWebProtocols:
		rules.Protocols, err = engine.ParseProtocols(text)
	case sockets.OptWebOrigins:
		rules.Origins, err = engine.ParseOrigins(text)
	case sockets.OptWebPaths:
		rules.Paths, err = engine.ParsePaths(text)
	default:
		rules.Health, err = text, engine.CheckHealthPath(text)
	}
	if err != nil {
		return sockets.BadOption(opt, "does not take the value: %s", err)
	}
	o.web = rules
	return nil
}

// PeerProperty returns a property of a peer, such as "Peer-Address" or "WS-Path"; doc/options.md
// has them all. Peer-Address, Peer-Port, Local-Address, Local-Port and Transport are known of every
// peer, the others if WithProperties has named them. It works in both modes, on any goroutine,
// until the peer is gone; a Disconnected message still has what is kept of its peer. EINVAL: peer is
// 0, or the peer does not have that property. EHOSTUNREACH: the peer does not exist.
func (k *Socket) PeerProperty(peer uint32, name string) (string, error) {
	if err := k.enter(); err != nil {
		return "", err
	}
	defer k.leave()
	if peer == 0 {
		return "", errno.New(errno.EINVAL, "0 is no routing id")
	}
	value, has, found := k.keptOf(peer, name)
	if !found {
		return "", errno.New(errno.EHOSTUNREACH, "no peer has the routing id %d", peer)
	}
	if !has && (name == engine.LocalAddress || name == engine.LocalPort || name == engine.TransportIs) {
		value, has = k.endOf(peer, name)
	}
	if !has {
		return "", errno.New(errno.EINVAL, "the peer %d has no property %.64q", peer, name)
	}
	return value, nil
}

// keptOf returns what a peer's session knows of it. A session in the table, or of a connection in
// closing, cannot go while mu is held.
func (k *Socket) keptOf(peer uint32, name string) (value string, has, found bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.keptSession(peer)
	if s == nil {
		return "", false, false
	}
	value, has = engine.PeerProperty(s, name)
	return value, has, true
}

// keptSession returns the session of a peer whose connection is not over, or nil. mu is held.
func (k *Socket) keptSession(peer uint32) *shm.Session {
	if s := k.shared.Find(peer); s != nil {
		return s
	}
	if c := k.closing[peer]; c != nil {
		return c.Shared
	}
	return nil
}

// endOf returns a property of this end of a peer's connection. The address is the descriptor's, which
// is open while senders find the connection, or while it is asked for.
func (k *Socket) endOf(peer uint32, name string) (value string, has bool) {
	k.mu.Lock()
	if a := k.asking[peer]; a != nil {
		value, has = a.End(name)
	}
	k.mu.Unlock()
	if has {
		return value, true
	}
	k.walk(-1, func(int) {}, func(c *engine.Conn) bool {
		if c.Shared.Rid4() != peer {
			return true
		}
		if c.Connected() {
			value, has = c.End(name)
		}
		return false
	}, func(final) {})
	return value, has
}

// Property returns a property of the peer of a Connected or Disconnected message: its address
// and its port, and what WithProperties has named. It is valid until Release. For any other message it returns false: use
// PeerProperty.
func (m *Message) Property(name string) (value string, has bool) {
	_, _, texts := m.parts()
	if value, has = shm.Property(texts, name); has {
		return value, true
	}
	address := m.Address()
	switch {
	case !address.IsValid():
		return "", false
	case name == engine.PeerAddress:
		return address.Addr().String(), true
	case name == engine.PeerPort:
		return strconv.Itoa(int(address.Port())), true
	}
	return "", false
}
