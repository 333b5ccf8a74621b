// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/sys"
)

// spare is the descriptor that the process keeps while it listens. When it has no other one
// left, the spare one is closed, those that wait are accepted and reset one by one in its
// place, and it is opened again. Without it they would hang until there are descriptors.
var spare spareDescriptor

type spareDescriptor struct {
	mu    sync.Mutex
	users int // listeners
	fd    int // valid if have
	have  bool
}

// need keeps the descriptor for one more listener.
func (s *spareDescriptor) need() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
	s.open()
}

// unneed undoes need.
func (s *spareDescriptor) unneed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if check.On {
		check.That(s.users >= 0, "no more listeners end than began")
	}
	if s.users == 0 {
		s.close()
	}
}

// lend calls use while there is room for one descriptor. If another thread took the
// room at an earlier call, it only tries to get one again.
func (s *spareDescriptor) lend(use func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.have {
		s.close()
		use()
	}
	s.open()
}

func (s *spareDescriptor) open() {
	if s.have {
		return
	}
	if fd, err := sys.OpenEvent(); err == nil {
		s.fd, s.have = fd, true
	}
}

func (s *spareDescriptor) close() {
	if s.have {
		sys.Close(s.fd)
		s.have = false
	}
}
