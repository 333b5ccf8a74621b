// SPDX-License-Identifier: MPL-2.0

package sockets

import (
	"context"
	"sync"
	"time"
)

// Waiting says how long a call may wait, besides the socket's time-out.
type Waiting struct {
	Not bool            // not at all
	Ctx context.Context // nil: no context
}

// Cause is why the context ended the wait, or nil.
func (w Waiting) Cause() error {
	if w.Ctx == nil || w.Ctx.Done() == nil {
		return nil
	}
	select {
	case <-w.Ctx.Done():
		return context.Cause(w.Ctx)
	default:
		return nil
	}
}

// OnEnd has call run when the context ends; stop takes that back.
func (w Waiting) OnEnd(call func()) (stop func()) {
	if w.Ctx == nil || w.Ctx.Done() == nil {
		return func() {}
	}
	cancel := context.AfterFunc(w.Ctx, call)
	return func() { cancel() }
}

// Deadline is when a wait that begins now is over, with the socket's time-out
// in ms (-1: none); the zero time: never.
func (w Waiting) Deadline(timeoutMs int32) time.Time {
	switch {
	case w.Not || timeoutMs == 0:
		return LongAgo
	case timeoutMs > 0:
		return time.Now().Add(time.Duration(timeoutMs) * time.Millisecond)
	}
	return time.Time{}
}

// LongAgo is a deadline that allows no wait.
var LongAgo = time.Unix(1, 0)

// CtxWatch has wake called when the context ends that a socket's receive calls
// wait with. To register that makes garbage, for each batch that is received, so
// from the second call in a row with the same context on it stays from one call to
// the next.
type CtxWatch struct {
	wake func()

	mu     sync.Mutex
	done   <-chan struct{} // of the last call's context
	stop   func() bool     // what is registered for that; nil: nothing
	stays  bool
	closed bool
}

// NewCtxWatch returns one that watches no context.
func NewCtxWatch(wake func()) *CtxWatch { return &CtxWatch{wake: wake} }

// Begin is for a call that may wait; End follows. The receiving thread.
func (c *CtxWatch) Begin(ctx context.Context) {
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

// End is the end of that call.
func (c *CtxWatch) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stays {
		c.forget()
	}
}

// Watching reports whether the end of a context would be heard.
func (c *CtxWatch) Watching() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stop != nil
}

// Close forgets the context. Any thread.
func (c *CtxWatch) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.forget()
}

func (c *CtxWatch) forget() {
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}
