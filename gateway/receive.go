// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

// batchMost is how many messages are received at a time.
const batchMost = 256

// flushAt is how many bytes for NATS are written at the latest.
const flushAt = 32 << 10

// busy is a number of messages at a time behind which there are more: what they take, those that follow share.
const busy = 16

// receive takes what clients send until the socket has drained, or the gateway ends.
func (g *Gateway) receive(ctx context.Context) error {
	batch, more := make([]stream.Message, batchMost), false
	for {
		n, err := g.nextBatch(ctx, batch, more)
		if err != nil {
			g.flush() // what it does not take is counted
			if ctx.Err() != nil || errors.Is(err, errno.ENOTSOCK) {
				return nil
			}
			return fmt.Errorf("cannot receive from clients: %s", errno.Detail(err))
		}
		drained := false
		for i := range batch[:n] {
			drained = g.take(&batch[i]) || drained
			batch[i].Release()
		}
		if more = n >= busy; !more || g.bus.data.Buffered() > flushAt {
			g.flush()
		}
		if drained {
			g.flush()
			return nil
		}
	}
}

// nextBatch receives. With more it first takes what is there already, with which what is for NATS then goes: without a wait, and
// with fewer writes the more there is to do.
func (g *Gateway) nextBatch(ctx context.Context, batch []stream.Message, more bool) (int, error) {
	if more && ctx.Err() == nil {
		if n, err := g.socket.TryRecvBatch(batch); !errors.Is(err, errno.EAGAIN) {
			return n, err
		}
		g.flush()
	}
	return g.socket.RecvBatch(ctx, batch)
}

// flush writes what is for NATS.
func (g *Gateway) flush() {
	g.publishBundles()
	g.bus.data.Flush()
}

// take handles one message or event; it returns true for the last one of a drain.
func (g *Gateway) take(msg *stream.Message) (drained bool) {
	switch msg.Kind {
	case stream.Data:
		g.data(msg)
	case stream.Asking:
		g.asker.request(g.newClient(msg))
	case stream.Connected:
		g.connected(msg)
	case stream.Disconnected:
		if c := g.clients.all[msg.Peer]; c != nil {
			g.publishBundles() // before the event
			g.goodbye(c, msg)
		}
	case stream.Drained:
		return true
	}
	return false
}

func (g *Gateway) connected(msg *stream.Message) {
	c := g.clients.all[msg.Peer]
	if c == nil {
		c = g.newClient(msg)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case g.config.Auth == authNone, c.state.Load() == stateAsked: // its request was accepted
		g.establish(c)
	default:
		g.asker.expect(c)
	}
}

func (g *Gateway) data(msg *stream.Message) {
	c := g.clients.all[msg.Peer]
	switch {
	case c == nil:
		g.counts.dropped[wayIn][reasonUnknown].Add(1)
	case c.state.Load() != stateOpen:
		g.asker.early(c, msg)
	case g.bundled(c.to, msg.Body):
		g.gather(c, msg.Body, msg.Text)
	default:
		if c.to.count > 0 {
			g.publishBundles() // what its client has sent before
		}
		g.forward(c, msg.Body, msg.Text)
	}
}

// sendEarly gives a message that waited for the answer about its client to NATS. Any goroutine.
func (g *Gateway) sendEarly(c *client, one early) {
	if !g.bundled(c.to, one.body) {
		g.forward(c, one.body, one.text)
		return
	}
	alone := bundle{subject: c.to.subject}
	alone.add(c.id, one.body, one.text)
	g.publishBundle(&alone)
}

// forward gives a client's message to NATS. Any goroutine.
func (g *Gateway) forward(c *client, body []byte, text bool) {
	if c.to.asked.Load() {
		c.to.asked.Store(false)
	}
	header := c.header
	if text {
		header = c.textHeader
	}
	if g.bus.data.Publish(c.line, header, body) != nil {
		g.counts.dropped[wayIn][reasonNATS].Add(1)
		return
	}
	g.counts.inMessages.Add(1)
	g.counts.inBytes.Add(uint64(len(body)))
}

// reasonNames are the names of doc/reasons.md.
var reasonNames = [engine.Causes]string{"UNKNOWN", "PEER_CLOSED", "RESET", "IDLE", "NO_PONG", "HANDSHAKE", "PROTOCOL", "TOO_LONG", "QUEUE_BOUND", "RATE",
	"LIMIT", "CLOSED_HERE", "ABORTED_HERE", "DRAINED", "FIRST_MESSAGE", "AGE", "STALLED", "CONTEXT", "NO_MEMORY", "REFUSED", "UNDECIDED"}

func reasonName(why engine.Cause) string {
	if int(why) < len(reasonNames) && reasonNames[why] != "" {
		return reasonNames[why]
	}
	return reasonNames[engine.CauseUnknown]
}
