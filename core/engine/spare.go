// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync"
	"sync/atomic"

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

	missing atomic.Bool // somebody listens, and it is closed
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
		s.missing.Store(false)
	}
}

// lend calls use while there is room for one descriptor. If another thread took the
// room at an earlier call, it only tries to get one again.
func (s *spareDescriptor) lend(use func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.have {
		s.close()
		s.missing.Store(true)
		use()
	}
	s.open()
}

// restore opens the descriptor again after a thread has taken its room. If there is no
// other room, it calls give, which closes what that thread has got, and returns true.
func (s *spareDescriptor) restore(give func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open(); s.have || s.users == 0 {
		return false
	}
	give()
	s.open()
	return true
}

func (s *spareDescriptor) open() {
	if s.have {
		return
	}
	if fd, err := sys.OpenEvent(); err == nil {
		s.fd, s.have = fd, true
	}
	s.missing.Store(!s.have)
}

func (s *spareDescriptor) close() {
	if s.have {
		sys.Close(s.fd)
		s.have = false
	}
}

// hasSpare reports whether an accepted descriptor was the last one of the process, in the
// place of the spare one that another thread had closed for shed. Then it is reset.
func (l *Listener) hasSpare(fd int, remote Address) bool {
	return spare.missing.Load() && spare.restore(func() { l.reset(fd, remote) })
}

// shed resets some of those that wait to be accepted while the process has no descriptors.
func (l *Listener) shed() {
	spare.lend(func() {
		for range acceptBatch {
			fd, remote, err := sys.Accept(l.fd)
			if err != 0 {
				return
			}
			l.reset(fd, remote)
		}
	})
}
