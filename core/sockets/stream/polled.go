// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/wait"
)

// polled is a socket as sockets.Poll sees it.
type polled Socket

// ForPoll is for sockets.Poll only.
func (k *Socket) ForPoll() sockets.Polled { return (*polled)(k) }

func (p *polled) socket() *Socket { return (*Socket)(p) }

func (p *polled) Pin() bool           { return p.socket().pin() }
func (p *polled) Unpin()              { p.socket().leave() }
func (p *polled) Readers() *wait.List { return &p.readers }
func (p *polled) State() error        { return p.socket().state() }
func (p *polled) Writable() bool      { return true }

func (p *polled) Readable(mark bool) bool {
	k := p.socket()
	k.look()
	if k.readable() || mark && !k.shared.RxInbox.MarkAsleep() {
		return true
	}
	if mark {
		k.summon()
	}
	return false
}

// summon makes sure that somebody drives while this thread sleeps.
func (k *Socket) summon() {
	if sh := k.soleShard(); sh != nil && sh.Want() {
		sh.Summon()
	}
}

// look runs one round of the shard's loop if nobody drives it, so that the inbox then
// shows what the kernel has.
func (k *Socket) look() {
	if k.readable() {
		return
	}
	if sh := k.soleShard(); sh != nil && sh.Users.Load() == 1 && sh.TryDrive() {
		defer sh.Leave()
		_ = sh.Drive(k.shared, sockets.LongAgo, func() bool { return !k.mayDrive(sh) })
	}
}

// openFd returns the socket's descriptor for another event loop, and opens it on the first
// call. It becomes readable when sockets.OptEvents may have changed.
func (k *Socket) openFd() (int, error) {
	if k.fd == nil {
		w := wait.New()
		if _, err := w.OpenFd(); err != nil {
			return -1, errno.New(errno.Of(err), "cannot open an eventfd for the socket")
		}
		k.fd = w
		k.readers.Add(w)
		if k.readable() || !k.shared.RxInbox.MarkAsleep() {
			w.Signal()
		}
	}
	return k.fd.Fd(), nil
}

// closeFd closes the descriptor of openFd.
func (k *Socket) closeFd() {
	if k.fd != nil {
		k.readers.Remove(k.fd)
		k.fd.CloseFd()
	}
}

// events returns which calls would not block now. If a receive would block, it also makes
// sure that the next message makes the descriptor readable.
//
// Invariant: while the descriptor is not readable, the inbox is empty and marked. An event
// loop may therefore take one message or all of them each time it wakes, with level or
// edge triggering.
func (k *Socket) events() int32 {
	k.look()
	if k.readable() {
		return sockets.PollIn | sockets.PollOut
	}
	if k.fd == nil {
		return sockets.PollOut
	}
	k.fd.Reset()
	if !k.shared.RxInbox.MarkAsleep() {
		k.fd.Signal()
		return sockets.PollIn | sockets.PollOut
	}
	k.summon()
	return sockets.PollOut
}
