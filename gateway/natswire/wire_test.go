// SPDX-License-Identifier: MPL-2.0

package natswire

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

// discard is a connection that takes everything.
type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error)      { return len(p), nil }
func (discard) SetWriteDeadline(time.Time) error { return nil }
func (discard) Close() error                     { return nil }

// sample is a stream of a server, and what it means.
func sample() (stream string, means []string) {
	add := func(text, meaning string) { stream, means = stream+text, append(means, meaning) }
	for i := range 300 {
		body := strings.Repeat("b", i*i%3000)
		add(fmt.Sprintf("MSG zl.out.s.%d 1 %d\r\n%s\r\n", i, len(body), body), fmt.Sprintf(`zl.out.s.%d  "" %s false`, i, body))
		add(fmt.Sprintf("MSG a  1   back.%d %d\r\n%s\r\n", i, len(body), body), fmt.Sprintf(`a back.%d "" %s false`, i, body))
		head := Header("Zl-Key", fmt.Sprint(i))
		add(fmt.Sprintf("HMSG a 1 %d %d\r\n%s%s\r\n", len(head), len(head)+len(body), head, body), fmt.Sprintf(`a  %q %s false`, head, body))
		add(fmt.Sprintf("HMSG a 1 back %d %d\r\n%s%s\r\n", len(head), len(head)+len(body), head, body), fmt.Sprintf(`a back %q %s false`, head, body))
		stream += "+OK\r\nPONG\r\n-ERR 'a word'\r\n"
	}
	return stream, means
}

func TestEverySplit(t *testing.T) {
	Convey("What comes means the same in whatever pieces it comes", t, func() {
		stream, means := sample()
		for _, most := range []int{1, 7, 100, 5000, 1 << 20} {
			s, u := newToy(t), &user{}
			config := u.config(s.url())
			config.Pending = 64 << 20
			c := dial(t, config)
			g := <-s.come
			random := rand.New(rand.NewPCG(uint64(most), 1))
			if most == 1 {
				g.say("%s", stream[:2000]) // one byte at a time takes long
				for i := 2000; i < 6000; i++ {
					g.say("%c", stream[i])
				}
				g.say("%s", stream[6000:])
			} else {
				for rest := stream; len(rest) > 0; {
					n := min(1+random.IntN(most), len(rest))
					g.say("%s", rest[:n])
					rest = rest[n:]
				}
			}
			So(until(func() bool { return u.count() == len(means) }), ShouldBeTrue)
			So(u.all(), ShouldResemble, means)
			So(<-u.said, ShouldEqual, "a word")
			c.Close()
		}
	})
}

func TestWhatIsNoProtocol(t *testing.T) {
	Convey("A server that says what is not in the protocol is left, and nothing of it is taken", t, func() {
		for _, text := range []string{"MSG a 1\r\n", "MSG a x 1\r\na\r\n", "MSG a 1 -1\r\na\r\n", "MSG a 1 99999999999\r\n", "MSG a 1 b c d e 1\r\na\r\n", "MSG a 1 1\r\nabc\r\n",
			"HMSG a 1 5 4\r\nabcd\r\n", "HMSG a 1 4\r\nabcd\r\n", "HELLO\r\n", "\r\n", "MSG\r\n"} {
			s, u := newToy(t), &user{}
			c := dial(t, u.config(s.url()))
			(<-s.come).say("%s", text)
			So(text+fmt.Sprint(until(func() bool { return u.ups.Load() == 1 })), ShouldEqual, text+"true")
			So(u.losses.Load(), ShouldEqual, 1)
			(<-s.come).say("MSG a 1 4\r\ngood\r\n")
			So(until(func() bool { return u.count() == 1 }), ShouldBeTrue)
			c.Close()
		}
	})
	Convey("So is one with a line that does not end", t, func() {
		s, u := newToy(t), &user{}
		_ = dial(t, u.config(s.url()))
		g := <-s.come
		_, _ = io.WriteString(g, strings.Repeat("x", 2*lineMost)) // it may be left before it is through
		So(until(func() bool { return u.ups.Load() == 1 }), ShouldBeTrue)
	})
}

func TestLoss(t *testing.T) {
	Convey("The next server gets the subscriptions, and then what the last one was not given; what that one was given is in doubt", t, func() {
		s, u := newToy(t), &user{}
		c := dial(t, u.config(s.url()))
		first := must(c.Subscribe("one"))
		_ = must(c.Subscribe("two"))
		c.Unsubscribe(first)
		g := <-s.come
		noError(c.Publish(Line("a", ""), "", []byte("confirmed")))
		c.Flush()
		for g.line() != "confirmed" {
		}
		So(c.Sync(patience), ShouldBeNil)
		So(c.Unconfirmed(), ShouldEqual, 0)
		g.mute.Store(true)
		noError(c.Publish(Line("a", ""), "", []byte("given")))
		noError(c.PublishMany(4, Line("a", ""), "", []byte("given")))
		c.Flush()
		So(until(func() bool { return c.handedOver() }), ShouldBeTrue)
		free := c.Hold()
		noError(c.Publish(Line("a", ""), "", []byte("kept")))
		synced, asked := make(chan error, 1), make(chan error, 1)
		buffered := c.Buffered()
		go func() { asked <- c.Sync(2 * patience) }()
		So(until(func() bool { return c.Buffered() > buffered }), ShouldBeTrue)
		s.listener.Close()
		So(g.Close(), ShouldBeNil)
		So(until(func() bool { return u.losses.Load() == 1 }), ShouldBeTrue)
		So(u.inDoubt.Load(), ShouldEqual, 5)
		So(len(asked), ShouldEqual, 0) // that, too, is for the next server
		So(c.Connected(), ShouldBeFalse)
		So(c.TryPublish(Line("a", ""), "", nil), ShouldBeFalse)
		go func() { synced <- c.Publish(Line("a", "b"), Header("K", "v"), []byte("later")) }()
		So(until(func() bool { return c.Stalls() == 1 && u.failed.Load() > 0 }), ShouldBeTrue)

		s.again()
		So(<-synced, ShouldBeNil)
		g = <-s.come
		g.mute.Store(true)
		free()
		So(g.line(), ShouldEqual, "SUB two 2")
		So(g.line(), ShouldEqual, "PUB a 4")
		So(g.line(), ShouldEqual, "kept")
		So(g.line(), ShouldEqual, "HPUB a b 18 23")
		So([]string{g.line(), g.line(), g.line(), g.line()}, ShouldResemble, []string{"NATS/1.0", "K: v", "", "later"})
		So(u.inDoubt.Load(), ShouldEqual, 5)
		So(g.Close(), ShouldBeNil)
		So(until(func() bool { return u.losses.Load() == 2 }), ShouldBeTrue)
		So(u.inDoubt.Load(), ShouldEqual, 7) // "kept" and "later", and nothing again
		So(<-asked, ShouldEqual, ErrLost)
	})
	Convey("Who waits while there is no server goes on with the next one", t, func() {
		s, u := newToy(t), &user{}
		c := dial(t, u.config(s.url()))
		s.listener.Close()
		So((<-s.come).Close(), ShouldBeNil)
		So(until(func() bool { return u.losses.Load() == 1 }), ShouldBeTrue)
		done := make(chan error)
		go func() { done <- c.Publish(Line("a", ""), "", nil) }()
		So(until(func() bool { return c.Stalls() == 1 }), ShouldBeTrue)
		s.again()
		select {
		case err := <-done:
			So(err, ShouldBeNil)
		case <-time.After(patience):
			So("it still waits", ShouldBeEmpty)
		}
	})
	Convey("A server has a subscription when it has answered what came after it, and the next one has not", t, func() {
		s, u := newToy(t), &user{}
		c := dial(t, u.config(s.url()))
		g := <-s.come
		g.mute.Store(true)
		old := must(c.Subscribe("old"))
		So(g.line(), ShouldEqual, "SUB old 1")
		So(c.Has(old), ShouldBeFalse)
		g.mute.Store(false)
		So(c.Sync(patience), ShouldBeNil)
		So(c.Has(old), ShouldBeTrue)
		g.mute.Store(true)
		young := must(c.Subscribe("young"))
		So(c.Has(young), ShouldBeFalse)
		So(c.Has(old), ShouldBeTrue)
		asked := make(chan error, 1)
		go func() { asked <- c.Sync(patience) }() // this one does not answer
		So(until(func() bool { return c.asks() && c.handedOver() }), ShouldBeTrue)
		s.listener.Close()
		So(g.Close(), ShouldBeNil)
		So(until(func() bool { return u.losses.Load() == 1 }), ShouldBeTrue)
		So(<-asked, ShouldEqual, ErrLost)
		So(c.Has(old), ShouldBeFalse)
		late := must(c.Subscribe("late"))
		So(c.Has(late), ShouldBeFalse)
		synced := make(chan error, 1)
		go func() { synced <- c.Sync(patience) }() // the next server gets the question
		older := func() time.Duration {            // makes the question an hour older, and returns its age
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.pings) == 0 {
				return 0
			}
			c.pings[0].sent = c.pings[0].sent.Add(-time.Hour)
			return time.Since(c.pings[0].sent)
		}
		So(until(func() bool { return older() > 0 }), ShouldBeTrue)
		s.again()
		g = <-s.come
		So(until(func() bool { return u.ups.Load() == 1 }), ShouldBeTrue)
		So(older(), ShouldBeLessThan, 2*time.Hour) // its age begins anew with each server
		So(c.Has(old) || c.Has(young) || c.Has(late), ShouldBeFalse)
		g.once.Do(g.read)
		So(<-synced, ShouldBeNil)
		So(c.Has(old) && c.Has(young) && c.Has(late), ShouldBeTrue)
		c.mu.Lock()
		c.fail(discard{}, errTest) // a writer that had the connection before
		c.mu.Unlock()
		So(c.Connected(), ShouldBeTrue)
		c.Close()
		So(c.Sync(patience), ShouldEqual, ErrStopped)
	})
	Convey("An answer confirms what was in front of the question only", t, func() {
		s, u := newToy(t), &user{}
		c := dial(t, u.config(s.url()))
		g := <-s.come
		g.mute.Store(true)
		noError(c.Publish(Line("a", ""), "", []byte("before")))
		synced := make(chan error, 1)
		go func() { synced <- c.Sync(patience) }()
		So(until(c.asks), ShouldBeTrue)
		noError(c.Publish(Line("a", ""), "", []byte("after")))
		c.Flush()
		for g.line() != "after" {
		}
		So(c.Unconfirmed(), ShouldEqual, 2)
		g.say("PONG\r\n")
		So(until(func() bool { return c.Unconfirmed() == 1 }), ShouldBeTrue)
	})
	Convey("However many subscriptions there were, one more can be told from others", t, func() {
		s, u := newToy(t), &user{}
		config, subs := u.config(s.url()), make(chan *Sub, 2)
		config.Take = func(some []Msg) {
			for i := range some {
				subs <- some[i].Sub
			}
		}
		c := dial(t, config)
		c.last = 1<<40 - 1
		one := must(c.Subscribe("a"))
		g := <-s.come
		So(g.line(), ShouldEqual, "SUB a 1099511627776")
		g.say("MSG a 1099511627776 4\r\ngood\r\n")
		So(<-subs == one, ShouldBeTrue)
		c.Unsubscribe(one)
		So(g.line(), ShouldEqual, "UNSUB 1099511627776")
		g.say("MSG a 1099511627776 4\r\nlate\r\n")
		So(<-subs == nil, ShouldBeTrue)
	})
	Convey("Sync ends when the connection does", t, func() {
		s, u := newToy(t), &user{}
		c := dial(t, u.config(s.url()))
		g := <-s.come
		ended := make(chan error)
		go func() { ended <- c.Sync(patience) }()
		So(must(g.in.ReadString('\n')), ShouldEqual, "PING\r\n")
		So(g.Close(), ShouldBeNil)
		So(<-ended, ShouldEqual, ErrLost)
		So(errors.Is(c.Sync(0), errDead), ShouldBeTrue)
	})
}

var errTest = errors.New("a test")

// asks reports whether a PING is not answered.
func (c *Conn) asks() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pings) > 0
}

// handedOver reports whether the buffer is empty.
func (c *Conn) handedOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.buf) == 0 && !c.writing
}

func TestHeaders(t *testing.T) {
	Convey("Headers are read as they are written", t, func() {
		m := Msg{Header: []byte(Header("Zl-Key", "17", "Empty", "", "Zl-Text", "1"))}
		So(m.WellFormed(), ShouldBeTrue)
		So(string(m.Value("Zl-Key")), ShouldEqual, "17")
		So(string(m.Value("Zl-Text")), ShouldEqual, "1")
		So(m.Value("Empty") == nil, ShouldBeTrue)
		blank := Msg{Header: []byte("NATS/1.0\r\nA:\r\nB:  \r\n\r\n")}
		So(blank.Value("A") != nil && blank.Value("B") != nil && len(blank.Value("A"))+len(blank.Value("B")) == 0, ShouldBeTrue)
		So(m.Value("Zl") == nil, ShouldBeTrue)
		So(m.Status(), ShouldEqual, "")
		m.Header = []byte("NATS/1.0\r\nNone:\r\nBlank:  \r\n\r\n")
		for _, name := range []string{"None", "Blank"} { // it is there, and has no value
			So(m.Value(name) != nil, ShouldBeTrue)
			So(len(m.Value(name)), ShouldEqual, 0)
		}
		m.Header = []byte("NATS/1.0 503\r\n\r\n")
		So(m.Status(), ShouldEqual, "503")
		So(m.WellFormed(), ShouldBeTrue)
		for _, bad := range []string{"X", "NATS/1.0", "NATS/1.0\r\nno colon\r\n\r\n", "NATS/1.0\r\n: x\r\n\r\n", "NATS/1.0\r\nA: b\r\n"} {
			m.Header = []byte(bad)
			So(bad+fmt.Sprint(m.WellFormed()), ShouldEqual, bad+"false")
		}
	})
}

func FuzzReader(f *testing.F) {
	stream, _ := sample()
	f.Add([]byte(stream[:2000]), 3)
	f.Add([]byte("HMSG a 1 b 12 12\r\nNATS/1.0\r\n\r\n\r\n"), 1)
	f.Add([]byte("MSG a 1 200000\r\nxx"), 9)
	f.Fuzz(func(t *testing.T, input []byte, piece int) {
		c := &Conn{c: Config{Longest: 100 << 10, Take: func([]Msg) {}, Dropped: func(*Msg) {}, Said: func(string) {}}, kick: make(chan struct{}, 1)}
		c.q.start(1 << 20)
		r := reader{c: c, b: c.q.take(blockSize)}
		for rest := input; len(rest) > 0; {
			r.turn(0)
			n := copy(r.b.buf[r.n:], rest[:min(len(rest), 1+piece&0xffff)])
			r.n, rest = r.n+n, rest[n:]
			if r.parse() != nil {
				return
			}
		}
	})
}
