// SPDX-License-Identifier: MPL-2.0

package natswire

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

func TestWhatWaitsHasABoundInBytes(t *testing.T) {
	for _, size := range []int{0, 100, 10 << 10, 90 << 10} {
		Convey(fmt.Sprintf("What waits for Take has a bound in bytes, and what is beyond it is dropped and told, %d bytes each", size), t, func() {
			s, u := newToy(t), &user{hold: make(chan struct{})}
			config := u.config(s.url())
			c := dial(t, config)
			_ = must(c.Subscribe("a"))
			g := <-s.come
			So(g.line(), ShouldEqual, "SUB a 1")
			many := max(3*int(config.Pending)/(size+messageCost), 200)
			say := func(many int) {
				go func() { // more than there is room for: the reader goes on all the same
					for i := range many {
						g.say("MSG a 1 %d\r\n%s\r\n", size, strings.Repeat(string(rune('A'+i%50)), size))
					}
					g.say("PING\r\n")
				}()
				So(g.line(), ShouldEqual, "PONG") // so all has been read
			}
			say(many)
			So(c.Waiting(), ShouldBeBetweenOrEqual, config.Pending/2, config.Pending+blockSize+2*messageCost*blockSize/13)
			So(u.dropped.Load(), ShouldBeGreaterThan, many/4)
			u.hold <- struct{}{} // some are taken, and their room is used again
			say(many)
			close(u.hold)
			many *= 2
			So(until(func() bool { return u.count()+int(u.dropped.Load()) == many }), ShouldBeTrue)
			for _, one := range u.all() {
				if body := strings.TrimSuffix(strings.TrimPrefix(one, `a  "" `), " false"); len(body) != size || size > 0 && strings.Count(body, body[:1]) != size {
					So(body, ShouldEqual, "a body as it was sent")
				}
			}
			dropped := u.dropped.Load()
			So(until(func() bool { return c.Waiting() <= config.Pending/2 }), ShouldBeTrue)
			g.say("MSG a 1 4\r\nlast\r\n")
			So(until(func() bool { return u.count()+int(u.dropped.Load()) == many+1 }), ShouldBeTrue)
			So(u.dropped.Load(), ShouldEqual, dropped)
			all := u.all()
			So(all[len(all)-1], ShouldEqual, `a  "" last false`)
			So(until(func() bool { return c.Waiting() < 4*blockSize }), ShouldBeTrue)
		})
	}
}

func TestSlowServer(t *testing.T) {
	Convey("A server that does not read makes Publish wait, and what waits has a bound in bytes", t, func() {
		s, u := newToy(t), &user{}
		config := u.config()
		config.Options.InProcessServer = s // a pipe has no room
		c := dial(t, config)
		g := <-s.come
		body := bytes.Repeat([]byte{'x'}, 10<<10)
		var enough atomic.Bool
		published := make(chan int)
		for range 2 { // one writes, and one waits for room
			go func() {
				n := 0
				for !enough.Load() && c.Publish(Line("a", ""), "", body) == nil {
					n++
				}
				published <- n
			}()
		}
		So(until(func() bool { return c.Buffered() >= bufferMost && c.Stalls() > 0 }), ShouldBeTrue)
		So(c.Buffered(), ShouldBeLessThan, bufferMost+2*len(body)+200)
		answers := 0
		for c.TryPublish(Line("answer", ""), "", body) { // who may not wait is refused in time
			answers++
		}
		So(answers, ShouldBeBetweenOrEqual, 1, answerMost/len(body)+1)
		So(c.Buffered(), ShouldBeLessThan, answerMost+len(body)+100)
		enough.Store(true)
		c.Stop()
		n := make(chan int)
		go func() {
			all := <-published + <-published // the one that writes ends when the server reads
			c.Flush()
			until(func() bool { return c.Publish(Line("end", ""), "", nil) == nil }) // it waits for nothing any more
			c.Flush()
			n <- all
		}()
		lines := 0
		for line := g.line(); line != "PUB end 0"; line = g.line() {
			if strings.HasPrefix(line, "PUB ") {
				lines++
			} else {
				So(len(line), ShouldEqual, len(body))
			}
		}
		So(lines, ShouldEqual, <-n+answers)
	})
	Convey("Who waits for room goes on when the server reads", t, func() {
		s, u := newToy(t), &user{}
		config := u.config()
		config.Options.InProcessServer = s
		c := dial(t, config)
		g := <-s.come
		var counts [2]atomic.Int64
		body := make([]byte, 10<<10)
		for i := range counts {
			go func() {
				for c.Publish(Line("a", ""), "", body) == nil {
					counts[i].Add(1)
				}
			}()
		}
		defer c.Stop()
		So(until(func() bool { return c.Buffered() >= bufferMost && c.Stalls() > 0 }), ShouldBeTrue)
		one, two := counts[0].Load()+100, counts[1].Load()+100
		go func() { _, _ = io.Copy(io.Discard, g.in) }()
		So(until(func() bool { return counts[0].Load() > one && counts[1].Load() > two }), ShouldBeTrue)
		c.Close()
	})
	Convey("One that takes nothing for too long is left", t, func() {
		s, u := newToy(t), &user{}
		config := u.config(s.url())
		config.StuckFor = 50 * time.Millisecond
		c := dial(t, config)
		<-s.come
		body := make([]byte, 64<<10)
		go func() {
			for c.Publish(Line("a", ""), "", body) == nil {
			}
		}()
		So(until(func() bool { return u.ups.Load() > 0 }), ShouldBeTrue)
		So(u.inDoubt.Load(), ShouldBeGreaterThan, 0)
	})
	Convey("One that says nothing is left", t, func() {
		s, u := newToy(t), &user{}
		config := u.config(s.url())
		config.PingEvery, config.DeadAfter = 10*time.Millisecond, 30*time.Millisecond
		_ = dial(t, config)
		<-s.come
		So(until(func() bool { return u.ups.Load() > 0 }), ShouldBeTrue)
	})
	Convey("One that is slow, but takes something, is not left, however long its answer is on the way", t, func() {
		s, u := newToy(t), &user{}
		c := dial(t, u.config(s.url()))
		g := <-s.come
		go func() {
			for body := make([]byte, 64<<10); c.Publish(Line("a", ""), "", body) == nil; {
			}
		}()
		So(until(func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			_, waits := progress(c.net)
			return waits && len(c.buf) > 0
		}), ShouldBeTrue)
		c.mu.Lock()
		c.c.DeadAfter = time.Minute
		long := time.Now().Add(-time.Hour)
		late := func() bool {
			c.heard.Store(long.UnixNano())
			c.pings = append(c.pings[:0], ping{sent: long})
			return c.overdue()
		}
		until(late) // it takes nothing more
		before, _ := progress(c.net)
		var err error
		moves := until(func() bool { // the writer waits for the lock, so there is no end to read to
			_, err = io.CopyN(io.Discard, g.in, 32<<10)
			after, waits := progress(c.net)
			return err != nil || waits && after > before
		})
		isLate := late()
		c.pings = nil
		c.mu.Unlock()
		So(err, ShouldBeNil)
		So(moves, ShouldBeTrue)
		So(isLate, ShouldBeFalse)
		So(u.losses.Load(), ShouldEqual, 0)
	})
	Convey("One that says much, but answers nothing, is left", t, func() {
		s, u := newToy(t), &user{}
		config := u.config(s.url())
		config.PingEvery, config.StuckFor = 10*time.Millisecond, 50*time.Millisecond
		c := dial(t, config)
		_ = must(c.Subscribe("a"))
		g := <-s.come
		go func() {
			_, err := fmt.Fprintf(g, "MSG a 1 %d\r\n", 1<<31-1)
			for err == nil {
				time.Sleep(time.Millisecond)
				_, err = io.WriteString(g, "PONG\r\n") // as part of a message that is longer than any
			}
		}()
		So(until(func() bool { return u.ups.Load() == 1 }), ShouldBeTrue)
		<-s.come // nobody reads what this one gets
		So(until(func() bool { return u.ups.Load() == 2 && c.Connected() }), ShouldBeTrue)
		g = <-s.come
		g.once.Do(g.read)
		So(c.Sync(patience), ShouldBeNil)
	})
}

func TestLongMessages(t *testing.T) {
	Convey("A message that is too long comes without its bytes, and takes no memory", t, func() {
		s, u := newToy(t), &user{}
		config := u.config(s.url())
		c := dial(t, config)
		_ = must(c.Subscribe("a"))
		g := <-s.come
		g.line()
		g.say("MSG a 1 back %d\r\n%s\r\n", 50<<20, strings.Repeat("x", 50<<20))
		g.say("HMSG a 1 %d %d\r\n%s\r\n", config.Longest+1, config.Longest+1, strings.Repeat("y", config.Longest+1))
		g.say("MSG a 1 5\r\nafter\r\n")
		So(until(func() bool { return u.count() == 3 }), ShouldBeTrue)
		So(u.all(), ShouldResemble, []string{`a back ""  true`, `a  ""  true`, `a  "" after false`})
		So(c.Waiting(), ShouldBeLessThan, 4*blockSize)
	})
	Convey("What the server does not take is refused, also when it says so later", t, func() {
		s, u := newToy(t), &user{}
		c := dial(t, u.config(s.url()))
		g := <-s.come
		So(c.Publish(Line("a", ""), "", make([]byte, 1<<20)), ShouldBeNil)
		So(c.Publish(Line("a", ""), "", make([]byte, 1<<20+1)), ShouldEqual, ErrTooLong)
		g.once.Do(g.read)
		c.Flush()
		g.say(`INFO {"max_payload":1000}` + "\r\n")
		So(until(func() bool { return c.MaxPayload() == 1000 }), ShouldBeTrue)
		So(c.Publish(Line("a", ""), Header("A", strings.Repeat("x", 990)), nil), ShouldEqual, ErrTooLong)
		So(c.TryPublish(Line("a", ""), "", make([]byte, 1001)), ShouldBeFalse)
		So(c.TryPublish(Line("a", ""), "", make([]byte, 1000)), ShouldBeTrue)
	})
}

func TestNothingIsAllocatedForAMessage(t *testing.T) {
	Convey("Publishing allocates nothing for a message", t, func() {
		c := &Conn{}
		c.room.L = &c.mu
		c.net = discard{}
		c.most.Store(1 << 20)
		line, body := Line("zl.in.app.server.17", "zl.out.server.17"), make([]byte, 64)
		some := func() {
			for range 1000 {
				noError(c.Publish(line, "", body))
			}
			c.Flush()
		}
		some()
		some()
		So(testing.AllocsPerRun(20, some), ShouldBeLessThan, 1)
	})
	Convey("Taking allocates nothing for a message", t, func() {
		var input []byte
		head := Header("Zl-Key", "123")
		for range 1000 {
			input = fmt.Appendf(input, "HMSG zl.out.server.17 1 back %d %d\r\n%sbody\r\n", len(head), len(head)+4, head)
		}
		taken := 0
		c := &Conn{c: Config{Longest: 1 << 20, Take: func(some []Msg) {
			for i := range some {
				if string(some[i].Value("Zl-Key")) == "123" {
					taken++
				}
			}
		}}}
		c.q.start(1 << 30)
		r := reader{c: c, b: c.q.take(blockSize)}
		some := func() {
			for rest := input; len(rest) > 0; {
				r.turn(0)
				n := copy(r.b.buf[r.n:], rest)
				r.n, rest = r.n+n, rest[n:]
				noError(r.parse())
			}
			got := c.q.all()
			c.c.Take(got)
			c.q.done(len(got))
			c.q.again(got)
		}
		for range 10 {
			some()
		}
		So(testing.AllocsPerRun(20, some), ShouldBeLessThan, 2)
		So(taken, ShouldEqual, 31*1000)
	})
}
