// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// Visits
//
// A message for very many peers must not hold up the others. So the sessions that got it are
// not dirty: they wait for a visit (MarkVisit), in lists that the sender hands over. A round of
// the loop visits as many as visitTurn allows, after everything else that is to be written or
// read. What comes meanwhile waits for the rest of that round, an answer for another one. So
// where messages come and go the rounds are short ones, and a few more after the last. A
// message of Send makes its session dirty as ever, and then the whole queue goes out with it, in
// order; the visit finds nothing left.
//
// A session is in one list at most: the mark is set when it gets there, and a visit ends it,
// both under TxLock. A session that is dirty needs none, because its queue is taken soon, or
// when the kernel takes bytes again. The lists may name sessions that are over by now, even
// used again. A visit therefore looks whose shard the session is, and whether it is open.

const (
	// visitTurn is how many bytes of a round visits may write, visitPrice for each included:
	// 12 messages of 1 KiB, which take 0.1 ms.
	visitTurn  = 40 << 10
	visitPrice = 1536
	// shortTurn is the same in a short round: 3 messages of 1 KiB. Asking the kernel for more
	// costs a twentieth of that. It is as much as others have read and written in the round, if
	// that is more, up to busyTurn: visits get half of a busy shard.
	shortTurn = 8 << 10
	busyTurn  = 2 * visitTurn
	// briskRounds is how many rounds are short after something was read, or sent to one peer.
	briskRounds = 32
)

// Visit has the driver write what is queued for sessions with MarkVisit, which the caller has
// just set. The list is empty then. The caller pins the socket. Any thread.
func (sh *Shard) Visit(list *shm.Visits) {
	if list.Empty() {
		return
	}
	sh.mail.Lock()
	sh.mail.visits.Append(list)
	if check.On {
		sh.note(check.Posted)
	}
	sh.hasMail.Store(true)
	sh.wakeSleeper()
	sh.mail.Unlock()
	if sh.idle() { // it is more than a caller should do
		sh.Summon()
	}
}

// hasVisits reports whether sessions wait for a visit. Driver only.
func (sh *Shard) hasVisits() bool { return !sh.visits.Empty() }

// backToVisits is when the receiver, or the shard's thread, takes the role.
func (sh *Shard) backToVisits(receiver bool) {
	if sh.hasVisits() {
		now := time.Now()
		if sh.absence.end(now); receiver {
			sh.absence.drives = now
		}
	}
}

// visitAfter is visitSome in a round that has read. A receiver that waits for that gets it
// first, and the visits follow its next turn.
func (sh *Shard) visitAfter(read int, until *shm.Queues) {
	if sh.hasVisits() && until != nil && !until.RxInbox.Empty() && sh.postponed == 0 {
		sh.postponed = read + writeRound - sh.roundLeft
		return
	}
	sh.visitSome(read)
}

// visitSome visits sessions for a turn, those that have waited longest first. read is how many
// bytes were read in the round. It reports whether there were any.
func (sh *Shard) visitSome(read int) bool {
	if !sh.hasVisits() {
		return false
	}
	others, turn := sh.roundLeft, visitTurn
	read += sh.postponed
	sh.postponed = 0
	if sh.brisk > 0 {
		if sh.brisk == briskRounds {
			sys.Yield() // to whoever got something in this round, and may wait for this processor
		}
		sh.brisk--
		turn = min(busyTurn, max(shortTurn, read+writeRound-others))
	}
	for sh.roundLeft = turn; sh.roundLeft > 0 && sh.hasVisits(); sh.roundLeft -= visitPrice {
		sh.visit(sh.visits.Take())
	}
	if sh.roundLeft = others; !sh.hasVisits() {
		sh.absence.over()
	}
	return true
}

// visit takes and writes the main queue of a session.
func (sh *Shard) visit(shared *shm.Session) {
	shared.Lock()
	if shared.Shard != sh.Shared || shared.TxMarks&shm.MarkVisit == 0 {
		shared.Unlock()
		return
	}
	shared.TxMarks &^= shm.MarkVisit
	if shared.TxDirty != 0 || shared.TxHead == nil || shared.TxState == shm.TxClosed {
		shared.Unlock()
		return
	}
	c := sh.byFd[shared.Fd].handler.(*Conn)
	if check.On {
		check.That(c.Shared == shared && !c.blocked, "a session without marks is a connection's that writes")
	}
	c.takeMain()
	shared.Unlock()
	c.write()
}
