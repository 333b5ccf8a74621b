// SPDX-License-Identifier: MPL-2.0

package stream

import "github.com/zlink/zlink/core/engine"

// walkSlice is how many connections are looked at under one hold of the socket's
// lock: the io threads wait for that, and there may be a million connections.
const walkSlice = 256

// betweenSlices is called by a test between two of them.
var betweenSlices = func() {}

// final is what a connection counted that was forgotten during a walk.
type final struct {
	traffic   engine.Traffic
	abandoned uint64
}

// walk looks at up to limit of the socket's connections (negative: all) that are
// there now, in their order, some at a time. begin is called under the same lock
// that the list is copied under; look, under the lock, for each that is still there;
// forgotten for each that went meanwhile, with the last it counted. look ends the
// walk with false.
func (k *Socket) walk(limit int, begin func(connections int), look func(*engine.Conn) bool, forgotten func(final)) {
	list := k.beginWalk(limit, begin)
	defer k.endWalk()
	for more := true; more && len(list) > 0; {
		n := min(walkSlice, len(list))
		more = k.walkSome(list[:n], look, forgotten)
		if list = list[n:]; more && len(list) > 0 {
			betweenSlices()
		}
	}
}

// beginWalk copies the list of connections. Room for it is made without the lock.
func (k *Socket) beginWalk(limit int, begin func(connections int)) []*engine.Conn {
	var list []*engine.Conn
	for {
		k.mu.Lock()
		n := len(k.conns)
		if limit >= 0 {
			n = min(n, limit)
		}
		if n <= cap(list) {
			k.walks++
			list = append(list, k.conns[:n]...)
			begin(len(k.conns))
			k.mu.Unlock()
			return list
		}
		k.mu.Unlock()
		list = make([]*engine.Conn, 0, n+n/8)
	}
}

func (k *Socket) endWalk() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.walks--; k.walks == 0 {
		k.finals = nil
	}
}

func (k *Socket) walkSome(list []*engine.Conn, look func(*engine.Conn) bool, forgotten func(final)) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range list {
		if at := int(c.Index); at >= len(k.conns) || k.conns[at] != c {
			forgotten(k.finals[c])
		} else if !look(c) {
			return false
		}
	}
	return true
}

// keepFinal keeps what a connection counted for the walks that have it on their
// list. mu is held.
func (k *Socket) keepFinal(c *engine.Conn) {
	if k.walks == 0 {
		return
	}
	if k.finals == nil {
		k.finals = map[*engine.Conn]final{}
	}
	k.finals[c] = final{c.Traffic(), c.Abandoned()}
}
