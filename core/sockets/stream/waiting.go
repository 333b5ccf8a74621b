// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
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
