// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets/stream"
)

// batchMost is how many messages are received at a time.
const batchMost = 256

// slowBatch is how long a batch may take before that counts as a stall.
const slowBatch = 100 * time.Millisecond

// receive takes what clients send until the socket has drained, or the gateway ends.
func (g *Gateway) receive(ctx context.Context) error {
	batch := make([]stream.Message, batchMost)
	for {
		n, err := g.socket.RecvBatch(ctx, batch)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, errno.ENOTSOCK) {
				return nil
			}
			return fmt.Errorf("cannot receive from clients: %s", errno.Detail(err))
		}
		began, drained := time.Now(), false
		for i := range batch[:n] {
			drained = g.take(&batch[i]) || drained
			batch[i].Release()
		}
		if time.Since(began) > slowBatch {
			g.counts.natsStalls.Add(1)
		}
		if drained {
			return nil
		}
	}
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
	case c.state.Load() == stateOpen:
		g.forward(c, msg.Body, msg.Text)
	default:
		g.asker.early(c, msg)
	}
}

// forward gives a client's message to NATS.
func (g *Gateway) forward(c *client, body []byte, text bool) {
	var err error
	if c.header == nil && !text {
		err = g.publishBody(c.subject, c.reply, body)
	} else {
		h := c.header
		if text {
			h = nats.Header{headerText: {"1"}}
			set(h, headerUser, c.user)
		}
		err = g.publish(&nats.Msg{Subject: c.subject, Reply: c.reply, Header: h, Data: body})
	}
	if err != nil {
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
