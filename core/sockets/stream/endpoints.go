// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"slices"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// Bind listens on an endpoint. The errors are those of endpoint.Parse and of
// the system: EADDRINUSE, EADDRNOTAVAIL, ENODEV …
func (k *Socket) Bind(text string) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	err := k.bind(text, -1)
	if err != nil && k.monitors.Watched() {
		k.monitors.Observe(engine.Event{Kind: engine.EventBindFailed, Value: uint64(errno.Of(err)), Local: text})
	}
	return err
}

// bind listens on an endpoint, with a descriptor that another process has given, or -1.
func (k *Socket) bind(text string, given int) error {
	ep, addr, err := k.listenEndpoint(text)
	if err != nil {
		return err
	}
	k.admit() // the options that are set together may have changed
	transport, err := k.transport(ep, true)
	if err != nil {
		return err
	}
	sh, err := k.takeShard()
	if err != nil {
		return err
	}
	if err := k.addEndpoint(); err != nil { // Close or Drain came in between
		return err
	}
	l, err := k.listen(sh, transport, addr, given)
	if err != nil {
		k.partGone(nil)
		return err
	}
	k.opt.used = true
	k.opt.lastEndpoint = transport.Endpoint.String()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.takesEndpoints(); err != nil {
		l.Close()
		return err
	}
	k.listeners = append(k.listeners, &listening{l, [2]string{text, k.opt.lastEndpoint}})
	return nil
}

// listenEndpoint parses an endpoint that may be listened on.
func (k *Socket) listenEndpoint(text string) (endpoint.Endpoint, engine.Address, error) {
	ep, err := endpoint.Parse(text)
	if err != nil {
		return ep, engine.Address{}, err
	}
	addr, path, err := ep.Bind(k.opt.int(sockets.OptIPv6) == 1)
	if err == nil && k.opt.int(sockets.OptReusePort) == 1 && ep.Scheme.Address == endpoint.File {
		err = errno.New(errno.EINVAL, "STREAM_REUSEPORT shares a port, and %s has a file: %s", ep.Scheme, text)
	}
	return ep, engine.Address{AddrPort: addr, Path: path}, err
}

// listen opens the endpoint's descriptor, or uses one that was given, or that of USE_FD, once.
func (k *Socket) listen(sh *engine.Shard, transport *engine.Transport, addr engine.Address, given int) (*engine.Listener, error) {
	fd := given
	if fd < 0 {
		fd = int(k.opt.int(sockets.OptUseFd))
	}
	if fd < 0 && k.opt.strings[sockets.OptListenName] != "" {
		return k.listenActivated(sh, transport, addr)
	}
	if fd < 0 {
		return engine.Listen(sh, transport, addr, k.owner(), k.opt.tcp(), k.limits(), k.placer(sh))
	}
	l, err := engine.ListenOn(sh, fd, transport, k.owner(), k.opt.tcp(), k.limits(), k.placer(sh))
	if err == nil && given < 0 {
		k.opt.setInt(sockets.OptUseFd, -1)
	}
	return l, err
}

// Unbind stops listening on an endpoint, which is named as in Bind or by LAST_ENDPOINT.
// Accepted connections stay. ENOENT: the socket does not listen there.
func (k *Socket) Unbind(text string) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	if _, err := endpoint.Parse(text); err != nil {
		return err
	}
	l := k.takeListener(text)
	if l == nil {
		return errno.New(errno.ENOENT, "the socket does not listen on %q", text)
	}
	l.Unbind() // without the lock: other connections go on meanwhile
	return nil
}

// takeListener removes the oldest listener of a text from the list and returns it, or nil.
func (k *Socket) takeListener(text string) *listening {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.listeners, func(l *listening) bool { return slices.Contains(l.texts[:], text) })
	if i < 0 {
		return nil
	}
	l := k.listeners[i]
	k.listeners = slices.Delete(k.listeners, i, i+1)
	return l
}

// Connect dials an endpoint now and whenever the connection is lost.
func (k *Socket) Connect(text string) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	return k.connect(text)
}

func (k *Socket) connect(text string) error {
	ep, err := endpoint.Parse(text)
	if err != nil {
		return err
	}
	if err := ep.CheckDial(k.opt.int(sockets.OptIPv6) == 1); err != nil {
		return err
	}
	transport, err := k.transport(ep, false)
	if err != nil {
		return err
	}
	sh, err := k.takeShard()
	if err != nil {
		return err
	}
	alias := k.opt.connectID
	d := &dialing{engine.NewDialer(sh, transport, k.owner(), k.opt.tcp(), k.limits(), k.opt.redial(), alias), text, string(alias)}
	if err := d.Check(); err != nil {
		return err
	}
	if err := k.reserve(alias, d); err != nil {
		return err
	}
	if err := k.addDialer(d); err != nil {
		return err
	}
	k.opt.connectID = nil
	k.opt.used = true
	k.opt.lastEndpoint = text
	d.Start()
	return nil
}

// Disconnect ends a dialled endpoint, and its connection once everything queued for it is
// written. For an endpoint whose dialer has ended it does nothing, once. ENOENT: the socket
// has no such endpoint.
func (k *Socket) Disconnect(text string) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	if _, err := endpoint.Parse(text); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now, deadline := k.lingerEnd()
	found := k.forgetOver(text)
	for i := len(k.dialers) - 1; i >= 0; i-- { // downwards, because forget moves the last one
		if d := k.dialers[i]; d.text == text {
			k.forget(d)
			d.Close(engine.CauseClosedHere, now, deadline)
			found = true
		}
	}
	if !found {
		return errno.New(errno.ENOENT, "the socket has not connected to %q", text)
	}
	return nil
}

// reserve keeps a name for a dialer's first connection. EINVAL: it is in use.
func (k *Socket) reserve(alias []byte, d *dialing) error {
	if len(alias) == 0 {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_, used := k.aliases[string(alias)]
	if len(alias) == 4 && k.shared.Find(binary.BigEndian.Uint32(alias)) != nil {
		used = true
	}
	if used {
		return errno.New(errno.EINVAL, "the routing id %q (CONNECT_ROUTING_ID) is in use", alias)
	}
	if k.aliases == nil {
		k.aliases = map[string]aliasUse{}
	}
	k.aliases[string(alias)] = aliasUse{dialer: d.Dialer}
	return nil
}

// takesEndpoints returns why the socket takes no more endpoints, or nil. mu is held.
func (k *Socket) takesEndpoints() error {
	switch {
	case k.closed.Load():
		return errno.ENOTSOCK
	case k.drain != nil:
		return errDraining()
	}
	return nil
}

// addEndpoint counts a new listener as a part that Close or Drain ends, unless the socket
// takes none.
func (k *Socket) addEndpoint() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.takesEndpoints()
	if err == nil {
		k.parts++
	}
	return err
}

// addPart counts a connection in its handshake. It returns false if the socket is closed or
// has drained.
func (k *Socket) addPart() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed.Load() || k.drained() {
		return false
	}
	k.parts++
	return true
}
