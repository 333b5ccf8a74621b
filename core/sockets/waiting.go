// SPDX-License-Identifier: MPL-2.0

package sockets

import (
	"context"
	"sync"
	"time"
)

// Waiting limits how long a call may wait, besides the socket's time-out.
type Waiting struct {
	Not bool            // not at all
	Ctx context.Context // nil: no context
}

// Cause returns why the context ended the wait, or nil.
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

// OnEnd calls call when the context ends; stop cancels that.
func (w Waiting) OnEnd(call func()) (stop func()) {
	if w.Ctx == nil || w.Ctx.Done() == nil {
		return func() {}
	}
	cancel := context.AfterFunc(w.Ctx, call)
	return func() { cancel() }
}

// Deadline returns the end of a wait that begins now and has the socket's time-out in ms
// (-1: none). The zero time means no end.
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

// CtxWatch calls wake when the context of a socket's receive calls ends. Registering with a
// context allocates, which would cost something for every received batch. From the second
// consecutive call with the same context on, the registration therefore stays from one
// call to the next.
type CtxWatch struct {
	wake func()

	mu     sync.Mutex
	done   <-chan struct{} // of the last call's context
	stop   func() bool     // undoes the registration; nil: nothing is registered
	stays  bool
	closed bool
}

// NewCtxWatch returns a CtxWatch that watches no context yet.
func NewCtxWatch(wake func()) *CtxWatch { return &CtxWatch{wake: wake} }

// Begin starts watching for a call that may wait; End must follow. The receiving thread.
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

// End follows the call that Begin was for.
func (c *CtxWatch) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stays {
		c.forget()
	}
}

// Watching reports whether the end of a context would be noticed.
func (c *CtxWatch) Watching() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stop != nil
}

// Close stops watching for good. Any thread.
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
