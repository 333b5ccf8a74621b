// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync"
	"unsafe"
)

// slots hands out structs of one size and takes them back. It never returns the memory to
// the system, so a stale pointer finds a struct of the same kind.
type slots struct {
	mu    sync.Mutex
	size  uintptr
	stale uintptr // nobody may touch a free slot's bytes from this offset on; 0: all may be read
	free  []unsafe.Pointer
}

// slotStep is how much memory slots take from the system at a time.
const slotStep = 64 << 10

func (s *slots) get() unsafe.Pointer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		region := mapPages(slotStep)
		if region == nil {
			return nil
		}
		for at := slotStep/s.size*s.size - s.size; ; at -= s.size {
			s.free = append(s.free, unsafe.Add(region, at))
			if at == 0 {
				break
			}
		}
	}
	p := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	unpoison(p, s.size)
	return p
}

func (s *slots) put(p unsafe.Pointer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale > 0 {
		poison(unsafe.Add(p, s.stale), s.size-s.stale)
	}
	s.free = append(s.free, p)
}

var (
	sessionSlots = slots{size: unsafe.Sizeof(Session{}), stale: unsafe.Offsetof(Session{}.IP)}
	queuesSlots  = slots{size: unsafe.Sizeof(Queues{})}
	wakeupSlots  = slots{size: unsafe.Sizeof(Wakeup{})}
	aliasSlots   = slots{size: MaxID + 1}
)
