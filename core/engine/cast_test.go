// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/shm"
)

// cast queues a message for many peers, which the caller still has to release, and lists the
// session for a visit if that is due.
func (g *stage) cast(c *Conn, m shm.Part, prompt bool) {
	r := c.Shared.AppendCast(g.owner.shared, c.Shared.Rid.Load(), m, prompt)
	if r.AppendResult != shm.Appended && r.AppendResult != shm.AppendedWake {
		g.t.Fatalf("not queued: %v", r.AppendResult)
	}
	if r.Visit != nil {
		g.sh.Visit(visitsOf([]*Conn{c}))
	}
	if r.Old != nil {
		r.Old.Release(g.owner.shared)
	}
}

// visitsOf lists the sessions of connections.
func visitsOf(all []*Conn) *shm.Visits {
	list, spare := &shm.Visits{}, (*shm.Chunk)(nil)
	for _, conn := range all {
		if spare == nil {
			spare = shm.NewVisits(100)
		}
		list.Add(conn.Shared, &spare)
	}
	if spare != nil {
		shm.FreeChunk(spare)
	}
	return list
}

// say is cast of a message for one.
func (g *stage) say(c *Conn, body string, prompt bool, key int) {
	m := shm.JoinCast(g.owner.shared, nil, []byte(body), false)
	if key != 0 {
		m.Release(g.owner.shared)
		m = shm.NewCast(g.owner.shared, nil, []byte(body), false)
		m.Key(uint64(key))
	}
	g.cast(c, m, prompt)
	m.Release(g.owner.shared)
}

func TestCastsArriveWhole(t *testing.T) {
	text := strings.Repeat("0123456789abcdefghijk", 16<<10)
	for _, row := range []struct {
		name string
		web  bool
		size func() int
	}{
		{"short ones over tcp", false, func() int { return rand.IntN(300) }},
		{"all kinds over tcp", false, func() int { return rand.IntN(1 << rand.IntN(18)) }},
		{"short ones over ws", true, func() int { return rand.IntN(300) }},
		{"all kinds over ws", true, func() int { return rand.IntN(1 << rand.IntN(18)) }},
	} {
		Convey("Messages for many and for one arrive in order, however little the kernel takes: "+row.name, t, func() {
			g := newStage(t)
			conn, fd := (*Conn)(nil), 0
			if row.web {
				conn, fd, _ = g.linked(false, true)
			} else {
				conn, fd = g.plain()
			}
			var want, wire []byte
			lent, given := 0, 0
			for queued := 0; queued < 4<<20; {
				for range 1 + rand.IntN(20) {
					body := text[:row.size()]
					queued += len(body) + 1000
					want = append(want, frameOf(body)...)
					switch {
					case rand.IntN(2) == 0:
						g.say(conn, body, rand.IntN(2) == 0, 0)
					case len(body) >= 32<<10 && rand.IntN(2) == 0:
						bytes := []byte(body)
						conn.Shared.Append(g.owner.shared, conn.Shared.Rid.Load(), bytes, OwnBody(bytes, func() { given++ }))
						lent++
					default:
						g.queue(conn, body)
					}
				}
				if g.step(); conn.blocked {
					wire = append(wire, take(fd, 1+rand.IntN(256<<10))...)
				}
				if memory := conn.Shared.Memory.Load(); memory < 0 || g.owner.shared.TxMemory.Load() < 0 {
					t.Fatalf("%d bytes", memory)
				}
			}
			for range 100000 {
				g.step()
				more := take(fd, 1+rand.IntN(256<<10))
				if wire = append(wire, more...); len(more) == 0 && conn.flushHead == nil && (conn.link == nil || conn.link.rest == nil) {
					break
				}
			}
			if row.web {
				wire = webStream(t, wire)
			}
			So(bytes.Equal(wire, want), ShouldBeTrue)
			So(conn.Traffic().MsgsQueued, ShouldEqual, 0)
			So(conn.Traffic().BytesQueued, ShouldEqual, 0)
			So(given, ShouldEqual, lent)
			So(g.owner.shared.TxMemory.Load(), ShouldEqual, 0)
		})
	}
}

func TestVisits(t *testing.T) {
	Convey("A message for very many goes out in slices", t, func() {
		g := newStage(t)
		const peers = 600
		all, fds := []*Conn(nil), []int(nil)
		m := shm.NewCast(g.owner.shared, nil, []byte("to all of them, in more than sixty-four bytes, so that they share it"), false)
		for range peers {
			conn, fd := g.plain()
			all, fds = append(all, conn), append(fds, fd)
			r := conn.Shared.AppendCast(g.owner.shared, conn.Shared.Rid.Load(), m, false)
			So(r.Visit == g.sh.Shared, ShouldBeTrue)
		}
		size := m.Size()
		list := visitsOf(all)
		m.Release(g.owner.shared)
		written := func() (n int) {
			for _, conn := range all {
				if conn.moved.Load() > 0 {
					n++
				}
			}
			return n
		}
		Convey("of visitTurn each, after what others send", func() {
			g.sh.Visit(list)
			quiet, quietFd := g.plain()
			for before, rounds := 0, 0; before < peers; rounds++ {
				g.queue(quiet, "hello")
				g.step()
				So(swallow(quietFd), ShouldEqual, 9)
				now := written()
				So(now-before, ShouldBeGreaterThan, 0)
				So(now-before, ShouldBeLessThanOrEqualTo, 1+visitTurn/(writePrice+visitPrice))
				So(rounds, ShouldBeLessThan, peers)
				before = now
			}
			So(g.sh.hasVisits(), ShouldBeFalse)
			So(g.owner.shared.TxMemory.Load(), ShouldEqual, 0)
		})
		Convey("which are short while others have something, and come behind what they say", func() {
			const short = 1 + shortTurn/(writePrice+visitPrice)
			other, fd := g.plain()
			for range briskRounds {
				g.step() // the connections are new
			}
			g.sh.Visit(list)
			turn := func() int {
				before := written()
				g.step()
				return written() - before
			}
			So(turn(), ShouldBeGreaterThan, short)
			for range 3 { // the round that hears of it has begun its turn
				So(unix.Sendto(fd, []byte(frameOf("hello")), 0, nil), ShouldBeNil)
				g.step()
				So(turn(), ShouldBeBetweenOrEqual, 1, short) // reads first
				So(g.owner.waiting(), ShouldEqual, len(frameOf("hello")))
				g.owner.takeAll()
			}
			for range briskRounds - 1 {
				So(turn(), ShouldBeBetweenOrEqual, 1, short)
			}
			So(turn(), ShouldBeGreaterThan, short)
			g.queue(other, "hello")
			So(turn(), ShouldBeBetweenOrEqual, 1, short)
			So(swallow(fd), ShouldEqual, 9)
			g.queue(other, string(make([]byte, 30<<10))) // so much that visits get as much
			So(turn(), ShouldBeGreaterThan, short)
			So(unix.Sendto(fd, []byte(frameOf(string(make([]byte, 30<<10)))), 0, nil), ShouldBeNil)
			So(turn(), ShouldBeBetweenOrEqual, 1, short)
			So(turn(), ShouldBeGreaterThan, short)
			g.owner.takeAll()
			for range peers {
				g.step()
			}
			So(written(), ShouldEqual, peers)
		})
		Convey("and a message for one of them goes out in the next round, behind it", func() {
			g.sh.Visit(list)
			last := all[peers-1]
			g.queue(last, "for you")
			g.step()
			So(written(), ShouldBeLessThan, peers/2)
			got := take(fds[peers-1], 1000)
			So(string(got[size:]), ShouldEqual, string(frameOf("for you")))
			for range peers {
				g.step()
			}
			So(written(), ShouldEqual, peers)
			So(len(take(fds[peers-1], 1000)), ShouldEqual, 0)
		})
		Convey("and a second one needs no second visit", func() {
			m := shm.NewCast(g.owner.shared, nil, []byte("again"), false)
			r := all[0].Shared.AppendCast(g.owner.shared, all[0].Shared.Rid.Load(), m, false)
			So(r.Visit == nil, ShouldBeTrue)
			m.Release(g.owner.shared)
			g.sh.Visit(list)
			g.step()
			So(string(take(fds[0], 1000)[size:]), ShouldEqual, string(frameOf("again")))
			g.say(all[0], "after the visit", false, 0) // which needs another one
			for range peers {
				g.step()
			}
			So(string(take(fds[0], 1000)), ShouldEqual, frameOf("after the visit"))
		})
		Convey("and connections that end meanwhile, and their places that others have, do no harm", func() {
			for _, conn := range all[:peers-1] {
				conn.Abort(CauseAbortedHere)
			}
			g.owner.takeAll()
			others := make([]*Conn, 100)
			for i := range others {
				others[i], _ = g.plain()
			}
			g.sh.Visit(list)
			for range peers {
				g.step()
			}
			So(g.sh.hasVisits(), ShouldBeFalse)
			So(len(take(fds[peers-1], 1000)), ShouldEqual, size)
			for _, conn := range others {
				So(conn.moved.Load(), ShouldEqual, 0)
			}
			So(g.owner.shared.TxMemory.Load(), ShouldEqual, 0)
		})
	})
}

func TestNewestOfAKey(t *testing.T) {
	Convey("A message with a key takes the place of the one that a queue has", t, func() {
		g := newStage(t)
		conn, fd := g.plain()
		big := strings.Repeat("x", 64<<10)
		for !conn.blocked { // the kernel takes no more
			g.queue(conn, big)
			g.step()
		}
		before := conn.Traffic().MsgsQueued
		g.say(conn, "one", false, 1)
		g.queue(conn, "between")
		g.say(conn, strings.Repeat("two", 100), false, 2)
		g.queue(conn, "last")
		for i := range 100 {
			g.say(conn, strings.Repeat(string(rune('a'+i%26)), 10+i), false, 1)
			g.say(conn, strings.Repeat(string(rune('A'+i%26)), 500-i), false, 2)
		}
		So(conn.Traffic().MsgsQueued, ShouldEqual, before+4)
		want := slicesOf(strings.Repeat("v", 109), "between", strings.Repeat("V", 401), "last")
		var wire []byte
		for range 10000 {
			more := take(fd, 1<<20)
			if wire = append(wire, more...); len(more) == 0 && conn.flushHead == nil && !conn.blocked {
				break
			}
			g.step()
		}
		So(bytes.HasSuffix(wire, want), ShouldBeTrue)
		So(conn.Traffic().BytesQueued, ShouldEqual, 0)
		So(g.owner.shared.TxMemory.Load(), ShouldEqual, 0)
		So(conn.Traffic().BytesOut, ShouldEqual, len(wire))
	})
	Convey("What is begun stays", t, func() {
		g := newStage(t)
		conn, fd := g.plain()
		long := strings.Repeat("x", 1<<20)
		g.say(conn, long, true, 1)
		g.step() // the kernel takes a part
		g.step()
		So(conn.blocked, ShouldBeTrue)
		g.say(conn, "new", true, 1)
		g.say(conn, "newer", true, 1)
		var wire []byte
		for range 1000 {
			wire = append(wire, take(fd, 1<<20)...)
			g.step()
		}
		So(string(wire[4:4+len(long)]), ShouldEqual, long)
		So(string(wire[4+len(long):]), ShouldEqual, string(frameOf("newer")))
		So(g.owner.shared.TxMemory.Load(), ShouldEqual, 0)
	})
}

func slicesOf(bodies ...string) (all []byte) {
	for _, body := range bodies {
		all = append(all, frameOf(body)...)
	}
	return all
}

func TestDropOfCasts(t *testing.T) {
	Convey("The oldest messages of a queue are dropped, whoever else has them", t, func() {
		for range 20 {
			g := newStage(t)
			conn, fd := g.plain()
			other, _ := g.plain()
			for !conn.blocked {
				g.queue(conn, strings.Repeat("x", 64<<10))
				g.step()
			}
			var last []byte
			q := g.owner.shared
			conn.Shared.TxHwm = uint32(conn.Traffic().MsgsQueued) + 8
			for i := range 200 {
				body := strings.Repeat(string(rune('a'+i%26)), rand.IntN(1<<rand.IntN(12)))
				if rand.IntN(2) == 0 {
					d, result := conn.Shared.DropOldest(q, conn.Shared.Rid.Load(), len(body), false)
					d.Free(q, ReleaseOwner)
					So(result, ShouldEqual, shm.Appended)
					g.queue(conn, body)
				} else {
					m := shm.JoinCast(q, nil, []byte(body), false)
					d, result := conn.Shared.DropOldestFor(q, conn.Shared.Rid.Load(), m)
					d.Free(q, ReleaseOwner)
					So(result, ShouldEqual, shm.Appended)
					g.cast(conn, m, false)
					g.cast(other, m, false)
					m.Release(q)
				}
				if i >= 195 {
					last = append(last, frameOf(body)...)
				}
			}
			var wire []byte
			for range 10000 {
				more := take(fd, 1<<20)
				if wire = append(wire, more...); len(more) == 0 && conn.flushHead == nil && !conn.blocked {
					break
				}
				g.step()
			}
			for range 200 {
				g.step()
			}
			So(bytes.HasSuffix(wire, last), ShouldBeTrue)
			at := wire
			for len(at) > 0 { // whole frames
				at = at[lengthSize+binary.BigEndian.Uint32(at):]
			}
			So(conn.Traffic().BytesQueued, ShouldEqual, 0)
			So(q.TxMemory.Load(), ShouldEqual, 0)
		}
	})
}
