// SPDX-License-Identifier: MPL-2.0

package stream

import "github.com/zlink/zlink/core/engine"

// walkSlice is the number of connections visited during one hold of the socket's lock. The
// io threads wait for that lock, and there may be a million connections.
const walkSlice = 256

// betweenSlices runs between two slices; a test sets it.
var betweenSlices = func() {}

// final holds the last counters of a connection that was forgotten during a walk.
type final struct {
	traffic   engine.Traffic
	abandoned uint64
}

// walk visits up to limit of the socket's present connections (negative: all), in order and
// in slices. It calls begin under the lock under which it copies the list. It calls look,
// under the lock, for each connection that still exists, and forgotten for each that has
// gone meanwhile, with its last counters. If look returns false, the walk ends.
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

// beginWalk copies the list of connections. It allocates room for them without the lock.
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
		if !k.has(c) {
			forgotten(k.finals[c])
		} else if !look(c) {
			return false
		}
	}
	return true
}

// has reports whether a connection has not been forgotten. mu is held.
func (k *Socket) has(c *engine.Conn) bool {
	at := int(c.Index)
	return at < len(k.conns) && k.conns[at] == c
}

// keepFinal keeps the counters of a connection for walks that have it on their list. mu is
// held.
func (k *Socket) keepFinal(c *engine.Conn) {
	if k.walks == 0 {
		return
	}
	if k.finals == nil {
		k.finals = map[*engine.Conn]final{}
	}
	k.finals[c] = final{c.Traffic(), c.Abandoned()}
}
