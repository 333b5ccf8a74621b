// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// What --bundle may be.
const (
	bundleAuto = "auto"
	bundleOn   = "on"
	bundleOff  = "off"
)

var bundleKinds = []string{bundleAuto, bundleOn, bundleOff}

// A service is what clients talk to, and how: in bundles or not.
type service struct {
	bundle  // receive alone has it
	name    string
	clients int           // under the lock of services
	gone    chan struct{} // closed: it has no clients any more
	takes   atomic.Bool   // its messages go in bundles
	asked   atomic.Bool   // it has sent nothing since its back ends were asked
}

// services are those that clients have.
type services struct {
	mu   sync.Mutex
	all  map[string]*service
	kept int // of all
	over sync.WaitGroup
}

const (
	bundleAskEvery = time.Second
	bundlePatient  = time.Second // with an answer
	bundleDoubts   = 3           // questions without any answer, behind which nobody takes bundles any more
)

// enter gives a service a client. The back ends of a new one are asked whether they take bundles.
func (g *Gateway) enter(name string) *service {
	all := &g.services
	all.mu.Lock()
	defer all.mu.Unlock()
	s := all.all[name]
	if s == nil {
		s = &service{bundle: bundle{subject: "zl.bundle.in." + name + "." + g.server, kept: all.kept < servicesMost}, name: name, gone: make(chan struct{})}
		s.takes.Store(g.config.Bundle == bundleOn)
		all.all[name] = s
		if s.kept {
			all.kept++
		}
		if s.kept && g.config.Bundle == bundleAuto {
			all.over.Go(func() { g.askAboutBundles(s) })
		}
	}
	s.clients++
	return s
}

// leave takes a client from its service.
func (g *Gateway) leave(s *service) {
	all := &g.services
	all.mu.Lock()
	defer all.mu.Unlock()
	if s.clients--; s.clients > 0 {
		return
	}
	delete(all.all, s.name)
	if s.kept {
		all.kept--
	}
	close(s.gone)
}

// askAboutBundles asks the back ends of a service again and again, while its clients send or its messages go in bundles.
// The question is a bundle without messages: who takes bundles answers it.
func (g *Gateway) askAboutBundles(s *service) {
	ticker := time.NewTicker(bundleAskEvery)
	defer ticker.Stop()
	for doubts := 0; ; {
		if !s.asked.Swap(true) || s.takes.Load() {
			ctx, cancel := context.WithTimeout(g.context(), bundlePatient)
			_, err := g.bus.conn.RequestWithContext(ctx, s.subject, nil)
			cancel()
			switch doubts++; {
			case err == nil:
				doubts = 0
				s.takes.Store(true)
			case errors.Is(err, nats.ErrNoResponders), doubts >= bundleDoubts: // who only listens to everything does not answer
				s.takes.Store(false)
			}
		}
		select {
		case <-g.quit:
			return
		case <-s.gone:
			return
		case <-ticker.C:
		}
	}
}

// nobodyTakes is told that nobody got a bundle. Of which service is not known: they all send without, until they have asked again.
func (g *Gateway) nobodyTakes() {
	if g.config.Bundle != bundleAuto {
		return
	}
	g.services.mu.Lock()
	defer g.services.mu.Unlock()
	for _, s := range g.services.all {
		s.takes.Store(false)
		s.asked.Store(false)
	}
}

// bundled reports whether a message goes in a bundle.
func (g *Gateway) bundled(s *service, body []byte) bool {
	return s.takes.Load() && (len(body) <= bundleFull || int64(len(body)+bundleHead) <= g.bus.data.MaxPayload())
}
