// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"slices"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

// A session is parked while its receiver does not keep up: it is not read until
// the receiver has caught up. Its descriptor is closed meanwhile only if the
// connection is over and the system holds nothing of it that could be delivered.

// throttled tells whether the socket has enough to read. A connection that is
// over may add to that, as it takes a descriptor until it is read to its end.
func (s *Session) throttled() bool {
	limit := int64(throttleBytes)
	if s.hangup {
		limit = endedBytes
	}
	return atomic.LoadInt64(&s.queues.RxWaiting) >= limit
}

// park stops reading until the receiver catches up: it marks what it waits for
// and looks once more, and the receiver, after it took something, looks for
// the mark. A reason that shows only in that look is marked and looked at again:
// what the first one waited for may be over for good. Checked by
// tests/model/parking.pml.
func (s *Session) park() {
	s.parked = true
	s.shard.listParked(s)
	stalled, throttled := false, false // marked
	for {
		switch full, much := s.room() <= 0, s.throttled(); {
		case full && !stalled:
			stalled = true
			atomic.StoreUint32(&s.Shared.RxStalled, 1)
		case much && !throttled:
			throttled = true
			atomic.StoreUint32(&s.queues.RxLow, throttleBytes/2)
			atomic.StoreUint32(&s.queues.RxThrottled, 1)
		case full || much: // and was marked before this look
			return
		default:
			s.shard.caughtUp(s.queues)
			return
		}
	}
}

// overUnread tells whether the connection is over and the kernel holds nothing
// more of it. With a link that shows only when all has been read.
func (s *Session) overUnread() bool {
	if !s.hangup || s.link != nil {
		return false
	}
	var n int32
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(s.fd), unix.SIOCINQ, uintptr(unsafe.Pointer(&n)))
	return e == 0 && n == 0
}

// readEnd reads the end of a connection that is over, and only that. What is kept
// back of it is delivered, whatever RCVHWM says.
func (s *Session) readEnd() {
	var none [1]byte
	_, _, _ = s.read(none[:])
}

// overWhileParked has a parked session whose connection is over ended, or read if
// that is allowed now.
func (s *Session) overWhileParked() {
	switch {
	case s.overUnread():
		s.unpark()
		s.readEnd()
	case s.room() > 0 && !s.throttled():
		s.unpark()
		s.wantRead()
	}
}

// listParked puts a session on the list of its socket.
func (sh *Shard) listParked(s *Session) {
	if sh.parked == nil {
		sh.parked = map[*shm.Socket]*[]*Session{}
	}
	list := sh.parked[s.queues]
	if list == nil {
		list = new([]*Session)
		sh.parked[s.queues] = list
	}
	s.parkedAt = int32(len(*list))
	*list = append(*list, s)
}

// unpark takes a parked session off its socket's list.
func (s *Session) unpark() {
	s.parked = false
	atomic.StoreUint32(&s.Shared.RxStalled, 0)
	list := s.shard.parked[s.queues]
	last := len(*list) - 1
	(*list)[s.parkedAt] = (*list)[last]
	(*list)[s.parkedAt].parkedAt = s.parkedAt
	(*list)[last] = nil
	*list = (*list)[:last]
}

// caughtUp has the sessions of a socket looked at again.
func (sh *Shard) caughtUp(k *shm.Socket) {
	sh.mail.Lock()
	if !slices.Contains(sh.mail.caughtUp, k) {
		sh.mail.caughtUp = append(sh.mail.caughtUp, k)
	}
	sh.mail.Unlock()
	sh.unpark.Store(true)
}

// Resume lets the shard read on for a receiver that caught up. Any thread.
func (sh *Shard) Resume(k *shm.Socket) {
	sh.caughtUp(k)
	sh.Nudge()
}

// readParked gives the sessions another turn whose sockets caught up. Those stay
// that wait for messages of their own to be taken: their marks are still there.
func (sh *Shard) readParked() {
	sh.mail.Lock()
	sockets := sh.mail.caughtUp
	sh.mail.caughtUp, sh.caughtUpSpare = sh.caughtUpSpare[:0], sockets
	sh.mail.Unlock()
	for _, k := range sockets {
		list := sh.parked[k]
		if list == nil {
			continue
		}
		for i := len(*list) - 1; i >= 0; i-- { // down, as unpark moves the last one
			s := (*list)[i]
			if atomic.LoadUint32(&s.Shared.RxStalled) != 0 && s.room() <= 0 {
				continue
			}
			s.unpark()
			s.wantRead()
		}
	}
	clear(sockets)
}

// dropParkedLists forgets sockets that have no parked session.
func (sh *Shard) dropParkedLists() {
	for k, list := range sh.parked {
		if len(*list) == 0 {
			delete(sh.parked, k)
		}
	}
}
