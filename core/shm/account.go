// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"math"
	"sync"
	"unsafe"

	"github.com/zlink/zlink/core/check"
)

// An account outlives its socket while messages of it are out: their slabs, copies and cards lead to
// it. One that nobody has and that is even serves the next socket, and the others wait in
// unbalanced until they are. No call is needed when the last message goes, so C changes
// the sums alone.
var unbalanced struct {
	sync.Mutex
	all []*Account
}

var accountSlots = slots{size: unsafe.Sizeof(Account{})}

// NewAccount returns an even account without a limit, or nil.
func NewAccount() *Account {
	u := &unbalanced
	u.Lock()
	defer u.Unlock()
	for i, a := range u.all {
		if a.Kept.Load() == 0 && a.Begun.Load() == 0 && a.Cards.Load() == 0 {
			u.all[i] = u.all[len(u.all)-1]
			u.all = u.all[:len(u.all)-1]
			a.Total.Store(0)
			return a
		}
	}
	return (*Account)(accountSlots.get())
}

// FreeAccount takes back the account of a socket that goes. It may be charged until the last
// shard has left the slab that it filled for the socket.
func FreeAccount(a *Account) {
	unbalanced.Lock()
	defer unbalanced.Unlock()
	unbalanced.all = append(unbalanced.all, a)
}

// begunShares is how many parts the free rest of what messages that are not whole may take
// has. One may take one part.
const begunShares = 8

// Full reports whether so much is out that nothing more is read, with some bytes beyond the
// total. What has begun to come counts for half of the total at most: reading has to go
// on to finish it.
func (a *Account) Full(beyond int64) bool {
	total := a.Total.Load()
	return total > 0 && a.Kept.Load()+min(a.Begun.Load(), total/2) >= total+beyond
}

// Admits reports whether a message that is not whole may take so much, which is counted in
// Begun. All of them may take half of the total, whatever the application keeps. One may
// take any size while others have less than a quarter. Else it gets a share of what is
// left, so that many of them become small and leave room.
func (a *Account) Admits(own int64) bool {
	total := a.Total.Load()
	if total == 0 || own == 0 {
		return true
	}
	all := a.Begun.Load()
	return all-own < total/4 || own <= (total/2-all)/begunShares
}

// Counted returns what a message that is not whole and takes so much counts in Begun. A
// block of the smallest class counts nothing, so that every connection has one. A very
// long message counts a quarter of the total, so that it leaves another one.
func (a *Account) Counted(size int64) int64 {
	switch total := a.Total.Load(); {
	case size <= TinyChunkSize:
		return 0
	case total == 0:
		return size
	default:
		return min(size, max(1, total/4))
	}
}

// Charge counts bytes of a slab for its account, if it has one, until the slab is free. The
// caller has a reference.
func (s *Slab) Charge(bytes int64) {
	if a := s.Account.Load(); a != nil && bytes > 0 {
		a.Kept.Add(bytes) // first: another who has the slab may discharge it at once
		s.Charged.Store(bytes)
	}
}

// Discharge stops counting a slab that holds one long message, because that is sent on from
// there. It returns the bytes, for Charge if it is not sent after all. The caller has
// a reference.
func (s *Slab) Discharge() (bytes int64) {
	if s.Need == 0 {
		return 0
	}
	bytes = s.Charged.Swap(0)
	s.credit(bytes)
	return bytes
}

func (s *Slab) credit(bytes int64) {
	if bytes == 0 {
		return
	}
	kept := s.Account.Load().Kept.Add(-bytes)
	if check.On {
		check.That(kept >= 0, "no more is given back than was kept")
	}
}

// CopyBody copies a body into Go's memory, with a slab in front that only its account needs.
func CopyBody(a *Account, body []byte) (*Slab, []byte) {
	words := make([]uint64, (HeaderSize+len(body)+7)/8)
	s := (*Slab)(unsafe.Pointer(&words[0]))
	s.Class = ClassCopied
	s.Refs.Store(1)
	s.Account.Store(a)
	s.Charge(int64(len(body)))
	to := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s), HeaderSize)), len(body))
	copy(to, body)
	return s, to
}

// MaxTotal is the highest total, so that sums do not overflow.
const MaxTotal = math.MaxInt64 / 4
