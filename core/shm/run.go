// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// Run returns the event as the run that is pushed.
func (e *RunHead) Run() *Run { return (*Run)(unsafe.Pointer(e)) }

// Of returns the session of a run. An event lies in its session, at a place that its kind
// names. RunDrained is of no session. capi/path.h has the same in C.
func (r *Run) Of() *Session {
	switch r.Kind {
	case RunData:
		return r.Session
	case RunDrained:
		return nil
	case RunDisconnected:
		return (*Session)(unsafe.Add(unsafe.Pointer(r), -int(unsafe.Offsetof(Session{}.Down))))
	}
	return (*Session)(unsafe.Add(unsafe.Pointer(r), -int(unsafe.Offsetof(Session{}.Up))))
}

// RxUnit is the unit in bytes of the bytes that RxQueued counts. Those of a run are rounded
// up.
//
//capi:const ZL
const RxUnit = 64

// Weight returns what a data run adds to RxQueued: its messages in the low half, its bytes in
// units of RxUnit in the high half. One addition counts both.
func (r *Run) Weight() uint64 { return uint64(r.Msgs) | (r.Size+RxUnit-1)/RxUnit<<32 }

// RxPush counts a data run that is about to be pushed.
func (s *Session) RxPush(r *Run) { s.RxQueued.Add(r.Weight()) }

// RxTake counts a data run that was taken, and returns the number of messages that are
// left.
func (s *Session) RxTake(r *Run) (msgs uint32) {
	weight := r.Weight()
	left := s.RxQueued.Add(-weight)
	if check.On {
		had := left + weight
		check.That(uint32(had) >= r.Msgs && had>>32 >= weight>>32, "no more is taken than was pushed")
	}
	return uint32(left)
}

// RxMsgs returns the number of messages that are pushed and not yet taken.
func (s *Session) RxMsgs() uint32 { return uint32(s.RxQueued.Load()) }

// RxBytes returns how many bytes are pushed and not yet taken, those of each run rounded up.
func (s *Session) RxBytes() int64 { return int64(s.RxQueued.Load()>>32) * RxUnit }
