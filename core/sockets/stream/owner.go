// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"time"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/shm"
)

// owner is a socket as its context and the engine see it (engine.Owner).
type owner Socket

var _ engine.Owner = (*owner)(nil)

func (k *Socket) owner() *owner { return (*owner)(k) }

func (o *owner) socket() *Socket { return (*Socket)(o) }

func (o *owner) Shared() *shm.Queues          { return o.shared }
func (o *owner) Account() *shm.Account        { return o.account }
func (o *owner) Admission() *engine.Admission { return &o.admission }

func (o *owner) Attach(c *engine.Conn, alias []byte) error { return o.socket().attach(c, alias) }
func (o *owner) Detach(c *engine.Conn)                     { o.socket().detach(c) }
func (o *owner) LeaveGroups(c *engine.Conn)                { o.groups.leaveAll(c.Shared, c.Shared.Rid.Load()) }
func (o *owner) Forget(c *engine.Conn)                     { o.socket().forgetConn(c) }
func (o *owner) Unreceived(s *shm.Session)                 { o.socket().releaseUnreceived(s) }

func (o *owner) Enter() bool               { return o.socket().addPart() }
func (o *owner) Ask(a *engine.Asker) error { return o.socket().addAsker(a) }
func (o *owner) Undecided(a *engine.Asker) bool {
	_, err := o.socket().takeAsker(a.Session.Rid4(), engine.Decision{})
	return err == nil
}
func (o *owner) Asked(a *engine.Asker)       { o.socket().forgetAsker(a) }
func (o *owner) Answers(more int)            { o.socket().answersTo(more) }
func (o *owner) Gone(part any)               { o.socket().partGone(part) }
func (o *owner) Holds(bytes int64)           { o.handshakes.Add(bytes) }
func (o *owner) TurnedAway(why engine.Cause) { o.socket().turnedAway(why) }

func (o *owner) Closed() bool { return o.closed.Load() }
func (o *owner) Terminate()   { o.socket().terminate() }

func (o *owner) CloseTimeout() time.Duration {
	return time.Duration(o.opt.closeTimeout.Load()) * time.Millisecond
}

func (o *owner) Observed() bool         { return o.monitors.Watched() }
func (o *owner) Observe(e engine.Event) { o.monitors.Observe(e) }

func (o *owner) WakeReaders() bool { return o.socket().wakeReaders() }
func (o *owner) WakeSenders()      { o.socket().wakeSenders() }

func (o *owner) Starve(s *shm.Session, rid uint32) { o.socket().starve(s, rid) }
func (o *owner) Relieve()                          { o.socket().relieve() }
