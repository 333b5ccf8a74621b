// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// peer is a client of a load: it sends bodies, and reads what comes for it.
type peer interface {
	queue(body []byte)
	flush() error
	receive(buf []byte) ([]byte, error)
	buffered() int // what can be read without waiting
	close()
}

func (w *wire) buffered() int { return w.in.Buffered() }

// natsPeer is a client of NATS' own listener of WebSocket. It is written by hand so that the load
// costs both sides the same: one goroutine, gathered writes, no allocation for a message.
type natsPeer struct {
	*wire
	publish []byte // the line in front of each message, without its length
	line    []byte
}

const natsHello = "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"go\",\"version\":\"1\",\"protocol\":1}\r\n"

// dialNATS connects, subscribes to the inbox, and publishes to the subject with it as the reply's.
func dialNATS(address, subject, inbox string) (*natsPeer, error) {
	w, err := dialWire(address, "/", loadBuffer, 5*time.Second)
	if err != nil {
		return nil, err
	}
	p := &natsPeer{wire: w, publish: fmt.Appendf(nil, "PUB %s %s ", subject, inbox)}
	p.wire.queue(fmt.Appendf(nil, "%sSUB %s 1\r\nPING\r\n", natsHello, inbox))
	if err := p.flush(); err != nil {
		return nil, err
	}
	for {
		line, err := p.readLine()
		if err != nil {
			return nil, err
		}
		if bytes.HasPrefix(line, []byte("PONG")) {
			return p, nil
		}
		if bytes.HasPrefix(line, []byte("-ERR")) {
			return nil, errors.New(string(line))
		}
	}
}

// readLine reads to the end of a line of the protocol. The line holds until the next one.
func (p *natsPeer) readLine() ([]byte, error) {
	p.line = p.line[:0]
	for {
		for p.web.left == 0 {
			if err := p.web.next(); err != nil {
				return nil, err
			}
		}
		if _, err := p.in.Peek(1); err != nil {
			return nil, err
		}
		some, _ := p.in.Peek(min(p.web.left, p.in.Buffered())) // all of it is there
		end := bytes.IndexByte(some, '\n')
		taken := end + 1
		if end < 0 {
			taken = len(some)
		}
		p.web.left -= taken
		if _, err := p.in.Discard(taken); err != nil {
			return nil, err
		}
		if end >= 0 && len(p.line) == 0 { // the usual case: it need not be copied
			return bytes.TrimSuffix(some[:end], []byte("\r")), nil
		}
		p.line = append(p.line, some[:taken]...)
		if end >= 0 {
			return bytes.TrimSuffix(p.line[:len(p.line)-1], []byte("\r")), nil
		}
	}
}

func (p *natsPeer) queue(body []byte) {
	var head [96]byte
	line := append(head[:0], p.publish...)
	line = append(strconv.AppendInt(line, int64(len(body)), 10), '\r', '\n')
	p.out = appendWebHead(p.out, 2, len(line)+len(body)+2)
	at := len(p.out)
	p.out = append(append(append(p.out, line...), body...), '\r', '\n')
	masked(p.out[at:])
}

func (p *natsPeer) receive(buf []byte) ([]byte, error) {
	for {
		line, err := p.readLine()
		if err != nil {
			return nil, err
		}
		switch {
		case bytes.HasPrefix(line, []byte("MSG ")):
			size, err := strconv.Atoi(string(line[bytes.LastIndexByte(line, ' ')+1:]))
			if err != nil || size+2 > cap(buf) {
				return nil, fmt.Errorf("a strange line: %s", line)
			}
			_, err = io.ReadFull(p.body, buf[:size+2])
			return buf[:size], err
		case bytes.HasPrefix(line, []byte("PING")):
			p.wire.queue([]byte("PONG\r\n"))
			if err := p.flush(); err != nil {
				return nil, err
			}
		case bytes.HasPrefix(line, []byte("-ERR")):
			return nil, errors.New(string(line))
		}
	}
}

// load is what clients do with one server: each has so many messages on the way, or sends one in a while.
type load struct {
	dial    func(i int) (peer, error)
	clients int
	window  int
	size    int
	pause   time.Duration // > 0: one message, and then this pause
	warm    time.Duration // is not counted
	length  time.Duration
}

// outcome is what a load did.
type outcome struct {
	rate     float64 // answers a second
	all      int64   // answers, also those before it counts
	p50, p99 time.Duration
	failed   int // clients that ended early
	first    error
}

// tally counts the answers to all clients.
type tally struct{ all, inTime atomic.Int64 }

const stampAt = 13 // a message of a load has its time behind the head

func (l load) run() (outcome, error) {
	peers := make([]peer, 0, l.clients)
	defer func() {
		for _, p := range peers {
			p.close()
		}
	}()
	for i := range l.clients {
		p, err := l.dial(i)
		if err != nil {
			return outcome{}, fmt.Errorf("client %d: %w", i, err)
		}
		peers = append(peers, p)
	}
	var counted tally
	var all sync.WaitGroup
	var mu sync.Mutex
	var times []time.Duration
	var result outcome
	start := time.Now().Add(l.warm)
	end := start.Add(l.length)
	for i, p := range peers {
		all.Go(func() {
			mine, err := l.drive(p, i, start, end, &counted)
			mu.Lock()
			defer mu.Unlock()
			times = append(times, mine...)
			if err != nil {
				result.failed++
				result.first = errors.Join(result.first, err)
			}
		})
	}
	stop := time.AfterFunc(time.Until(end)+10*time.Second, func() {
		for _, p := range peers {
			p.close() // one that still waits for an answer
		}
	})
	all.Wait()
	stop.Stop()
	slices.Sort(times)
	result.rate, result.all = float64(counted.inTime.Load())/l.length.Seconds(), counted.all.Load()
	result.p50, result.p99 = quantile(times, 0.5), quantile(times, 0.99)
	return result, nil
}

// drive is one client's part.
func (l load) drive(p peer, i int, start, end time.Time, counted *tally) (times []time.Duration, err error) {
	body, buf := make([]byte, max(l.size, stampAt+8)), make([]byte, 4<<10)
	body[0] = kindMessage
	binary.BigEndian.PutUint32(body[1:], uint32(i))
	put := func() {
		binary.BigEndian.PutUint64(body[stampAt:], uint64(time.Since(start)))
		p.queue(body)
	}
	for range l.window {
		put()
	}
	if err := p.flush(); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		answer, err := p.receive(buf)
		if err != nil {
			return times, err
		}
		if len(answer) < stampAt+8 {
			return times, fmt.Errorf("a strange answer: %q", answer)
		}
		now := time.Now()
		counted.all.Add(1)
		if now.After(start) {
			counted.inTime.Add(1)
			if l.pause > 0 || n%16 == 0 {
				times = append(times, now.Sub(start)-time.Duration(binary.BigEndian.Uint64(answer[stampAt:])))
			}
		}
		if now.After(end) {
			return times, nil
		}
		if l.pause > 0 {
			time.Sleep(l.pause)
		}
		put()
		if p.buffered() == 0 {
			if err := p.flush(); err != nil {
				return times, err
			}
		}
	}
}

// fan is one message to all clients, again and again.
type fan struct {
	dial    func(i int) (peer, error)
	clients int
	publish func(body []byte) error
	size    int
	window  int // messages on their way
	length  time.Duration
}

// run returns how many messages arrived a second, and in all. At most window of them are on their way.
func (f fan) run() (rate float64, all int64, err error) {
	var arrived atomic.Int64
	var peers []peer
	defer func() {
		for _, p := range peers {
			p.close()
		}
	}()
	for i := range f.clients {
		p, err := f.dial(i)
		if err != nil {
			return 0, 0, err
		}
		peers = append(peers, p)
		go count(p, &arrived)
	}
	if err := f.everybody(&arrived); err != nil {
		return 0, 0, err
	}
	start := time.Now()
	arrived.Store(0)
	for number := 0; ; number++ {
		most := int64(f.clients) * int64(number-f.window)
		if time.Since(start) > f.length {
			most = int64(f.clients) * int64(number) // all of them
		}
		if until(5*time.Second, func() bool { return arrived.Load() >= most }) != nil {
			return 0, 0, fmt.Errorf("%d of %d messages of a group arrived", arrived.Load(), number*f.clients)
		}
		if time.Since(start) > f.length && most == int64(f.clients)*int64(number) {
			return float64(arrived.Load()) / time.Since(start).Seconds(), arrived.Load(), nil
		}
		if err := f.say(number); err != nil {
			return 0, 0, err
		}
	}
}

// everybody waits until one message reaches all clients.
func (f fan) everybody(arrived *atomic.Int64) error {
	for range 50 {
		arrived.Store(0)
		if err := f.say(0); err != nil {
			return err
		}
		if until(200*time.Millisecond, func() bool { return arrived.Load() >= int64(f.clients) }) == nil {
			time.Sleep(100 * time.Millisecond) // what comes late
			return nil
		}
	}
	return errors.New("no message of the group reaches all clients")
}

func (f fan) say(number int) error {
	body := make([]byte, max(f.size, headSize))
	body[0] = kindCast
	binary.BigEndian.PutUint64(body[1:], uint64(number))
	return f.publish(body)
}

// count counts the messages of the group that a client gets.
func count(p peer, arrived *atomic.Int64) {
	for buf := make([]byte, 4<<10); ; {
		body, err := p.receive(buf)
		if err != nil {
			return
		}
		if len(body) > 0 && body[0] == kindCast {
			arrived.Add(1)
		}
	}
}

var errLate = errors.New("it took too long")

// until waits for a state.
func until(most time.Duration, holds func() bool) error {
	for end := time.Now().Add(most); !holds(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			return errLate
		}
	}
	return nil
}
