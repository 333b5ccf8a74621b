// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/sockets"
)

// Listen returns a socket in the mode FAST that listens on an endpoint, such as
// "tcp://127.0.0.1:5555", "tcp://*:5555" or "tcp://[::1]:*".
func Listen(endpoint string, settings ...Setting) (*Socket, error) {
	return openAt((*Socket).Bind, endpoint, settings)
}

// Dial returns a socket in the mode FAST that connects to an endpoint now, and again
// whenever the connection is lost. It does not wait: a Connected message reports the peer
// and its routing id.
func Dial(endpoint string, settings ...Setting) (*Socket, error) {
	return openAt((*Socket).Connect, endpoint, settings)
}

func openAt(attach func(*Socket, string) error, endpoint string, settings []Setting) (*Socket, error) {
	k, err := Open(settings...)
	if err != nil {
		return nil, err
	}
	if err := attach(k, endpoint); err != nil {
		_ = k.Close()
		return nil, err
	}
	return k, nil
}

// Open returns a socket in the mode FAST without an endpoint. Bind and Connect add any
// number of endpoints.
func Open(settings ...Setting) (*Socket, error) {
	of := core.Default
	for _, s := range settings {
		if s.context != nil {
			of = func() *core.Context { return s.context }
		}
	}
	k, err := New(of())
	if err != nil {
		return nil, err
	}
	if err := WithMode(ModeFast).apply(k); err != nil {
		return nil, err
	}
	if err := k.Set(settings...); err != nil {
		_ = k.Close()
		return nil, err
	}
	return k, nil
}

// Set changes settings for later calls of Bind and Connect. Linger and time-outs apply at
// once. EINVAL: a value is bad; the settings before it are in effect.
func (k *Socket) Set(settings ...Setting) error {
	for _, s := range settings {
		if s.apply == nil {
			continue
		}
		if err := s.apply(k); err != nil {
			return err
		}
	}
	return nil
}

// Addr returns the endpoint of the last Bind or Connect, with the port that the
// system chose. Before the first one it returns "".
func (k *Socket) Addr() string { return k.opt.lastEndpoint }

// Monitor returns a new monitor of the events whose bit is in kinds, and of EventStopped.
// The caller must Close it. A socket may have any number of monitors.
func (k *Socket) Monitor(kinds engine.EventKind) (*sockets.Monitor, error) {
	if err := k.enter(); err != nil {
		return nil, err
	}
	defer k.leave()
	return k.monitors.Open(k.ctx, kinds)
}
