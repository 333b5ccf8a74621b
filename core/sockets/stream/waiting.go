// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"sync"
	"time"
)

// waiting says how long a call may wait, besides the socket's time-out.
type waiting struct {
	not bool            // not at all
	ctx context.Context // nil: no context
}

// cause is why the context ended the wait, or nil.
func (w waiting) cause() error {
	if w.ctx == nil || w.ctx.Done() == nil {
		return nil
	}
	select {
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	default:
		return nil
	}
}

// onEnd has call run when the context ends; stop takes that back.
func (w waiting) onEnd(call func()) (stop func()) {
	if w.ctx == nil || w.ctx.Done() == nil {
		return func() {}
	}
	cancel := context.AfterFunc(w.ctx, call)
	return func() { cancel() }
}

// deadline is when a wait that begins now is over, with the socket's time-out
// in ms (-1: none); the zero time: never.
func (w waiting) deadline(timeoutMs int32) time.Time {
	switch {
	case w.not || timeoutMs == 0:
		return longAgo
	case timeoutMs > 0:
		return time.Now().Add(time.Duration(timeoutMs) * time.Millisecond)
	}
	return time.Time{}
}

// longAgo is a deadline that allows no wait.
var longAgo = time.Unix(1, 0)

// ctxWatch has wake called when the context ends that a socket's receive calls
// wait with. To register that makes garbage, for each batch that is received, so
// from the second call in a row with the same context on it stays from one call to
// the next.
type ctxWatch struct {
	wake func()

	mu     sync.Mutex
	done   <-chan struct{} // of the last call's context
	stop   func() bool     // what is registered for that; nil: nothing
	stays  bool
	closed bool
}

// begin is for a call that may wait; end follows. The receiving thread.
func (c *ctxWatch) begin(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	done := ctx.Done()
	if done == c.done && c.stop != nil {
		return
	}
	c.forget()
	c.stays = done == c.done
	c.done = done
	if done != nil && !c.closed {
		c.stop = context.AfterFunc(ctx, c.wake)
	}
}

func (c *ctxWatch) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stays {
		c.forget()
	}
}

// close forgets the context. Any thread.
func (c *ctxWatch) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.forget()
}

func (c *ctxWatch) forget() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}
