// SPDX-License-Identifier: MPL-2.0

package shm

import "github.com/zlink/zlink/core/check"

// Pack joins the data of chunks that are less than three quarters full. It returns the
// new queue, and by how many bytes its blocks have grown. The caller must own the queue.
func Pack(head *Chunk) (first, last *Chunk, more int64) {
	var q packed
	for c := head; c != nil; {
		next := (*Chunk)(c.Next)
		used := uint64(c.End - c.Start)
		full := c.Class <= ClassTiny && c.Ext != 0 || 4*used >= 3*c.Size
		if full || !q.add(c) {
			q.link(c)
		} else {
			q.more -= int64(c.Size)
			FreeChunk(c)
		}
		c = next
	}
	return q.head, q.tail, q.more
}

// packed is a queue that Pack builds.
type packed struct {
	head, tail *Chunk
	more       int64
}

func (q *packed) link(c *Chunk) {
	c.Link(nil)
	if q.tail == nil {
		q.head = c
	} else {
		q.tail.Link(c)
	}
	q.tail = c
}

// add copies the content of c to the end of the queue. Without memory it returns false
// and leaves the queue as before.
func (q *packed) add(c *Chunk) bool {
	data := c.Bytes()[c.Start:c.End]
	if q.tail != nil && q.tail.takes(c) {
		q.tail.merge(c)
		return true
	}
	part := uint32(0)
	if q.tail != nil {
		part = q.tail.room()
	}
	rest := NewPacked(data[part:])
	if rest == nil && uint32(len(data)) == part { // only Ext is left
		rest = NewChunk(0, ClassTiny)
	}
	if rest == nil {
		return false
	}
	if part > 0 {
		q.tail.End += uint32(copy(q.tail.Bytes()[q.tail.End:], data[:part]))
		q.tail.Open += part
	}
	for rest != nil {
		next := (*Chunk)(rest.Next)
		q.link(rest)
		q.more += int64(rest.Size)
		rest = next
	}
	q.tail.finish(c, 0)
	return true
}

// NewPacked returns a copy of data in chunks. They take at most twice the bytes of data
// plus TinyChunkSize. It returns nil if data is empty or there is no memory.
func NewPacked(data []byte) *Chunk {
	var head, tail *Chunk
	for len(data) > 0 {
		c := NewChunk(0, sparing(2*uint64(len(data))))
		if c == nil {
			FreeChain(head)
			return nil
		}
		c.End = uint32(copy(c.Bytes(), data))
		data = data[c.End:]
		if tail == nil {
			head = c
		} else {
			tail.Link(c)
		}
		tail = c
	}
	return head
}

// NewSparing returns a chunk for the next bytes of so many that come, or nil when there is no memory.
func NewSparing(bytes uint64) *Chunk { return NewChunk(0, sparing(bytes)) }

// takes reports whether all of next fits into c.
func (c *Chunk) takes(next *Chunk) bool {
	return c.Ext == 0 && next.End-next.Start <= c.Cap-c.End
}

// merge moves the content of next, which must fit, to the end of c.
func (c *Chunk) merge(next *Chunk) {
	data := next.Bytes()[next.Start:next.End]
	c.End += uint32(copy(c.Bytes()[c.End:], data))
	if check.On {
		check.That(c.Ext == 0, "nothing is put behind bytes that lie elsewhere")
	}
	c.finish(next, uint32(len(data)))
}

// finish moves to c what goes with the end of from. c has already got the last bytes of from.
func (c *Chunk) finish(from *Chunk, bytes uint32) {
	if from.Msgs > 0 {
		c.Open = from.Open
	} else {
		c.Open += bytes
	}
	c.Msgs += from.Msgs
	c.Ext, c.ExtLen, c.ExtAll, c.Owner = from.Ext, from.ExtLen, from.ExtAll, from.Owner
}
