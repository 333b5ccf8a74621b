// SPDX-License-Identifier: MPL-2.0

package natswire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Msg is a message of NATS. Its bytes hold until Take returns.
type Msg struct {
	Sub     *Sub // nil: its subscription has ended
	Subject []byte
	Reply   []byte // nil: nobody waits
	Header  []byte // the whole block, or nil
	Body    []byte
	Size    int  // of the body
	TooLong bool // it comes without headers and body

	sid uint64
}

const (
	lineMost = 1 << 20  // the longest line is INFO, which has all servers of a cluster
	readLess = 16 << 10 // room that a read needs
)

// A reader finds messages in what comes.
type reader struct {
	c    *Conn
	b    *block
	p, n int // what is read, and not yet understood, is b.buf[p:n]
	need int // bytes that the message that begins at p has; 0: not known
	skip int // bytes that nobody wants
	got  []Msg
	pong bool
}

// read reads until the connection ends.
func (r *reader) read(g *greeted) error {
	if r.b == nil {
		r.b = r.c.q.take(blockSize)
	}
	r.p, r.need, r.skip = r.n, 0, 0
	r.turn(len(g.ahead))
	r.n += copy(r.b.buf[r.n:], g.ahead)
	for {
		if err := r.parse(); err != nil {
			return err
		}
		r.turn(0)
		n, err := g.conn.Read(r.b.buf[r.n:])
		r.n += n
		if n > 0 {
			r.c.heard.Store(time.Now().UnixNano())
		}
		if err != nil && n == 0 {
			return err
		}
		if r.b.scratch { // there may be room now
			r.turn(0)
		}
	}
}

// turn goes on in a block with room for the message that has begun, and for so much more.
func (r *reader) turn(more int) {
	if !r.b.scratch && len(r.b.buf)-r.n >= max(more, readLess) && r.p+r.need <= len(r.b.buf) {
		return
	}
	tail := r.b.buf[r.p:r.n]
	size := max(blockSize, r.need+readLess, len(tail)+readLess+more)
	next := r.c.q.next(r.b, size)
	r.n = copy(next.buf, tail) // next may be b
	r.b, r.p = next, 0
}

// parse takes all whole messages, and gives them on.
func (r *reader) parse() (err error) {
	r.got, r.pong = r.got[:0], false
	for more := true; more && err == nil; {
		more, err = r.one()
	}
	switch {
	case len(r.got) == 0:
	case r.b.scratch:
		r.c.q.name(r.got)
		for i := range r.got {
			r.c.c.Dropped(&r.got[i])
		}
	default:
		r.c.q.add(r.b, r.got)
	}
	if r.pong {
		r.c.mu.Lock()
		r.c.line("PONG\r\n")
		r.c.mu.Unlock()
		r.c.wakeWriter()
	}
	return err
}

var errProtocol = errors.New("NATS said something that is not in its protocol")

// one takes what is at p. false: it is not whole yet.
func (r *reader) one() (bool, error) {
	if r.skip > 0 {
		some := min(r.skip, r.n-r.p)
		if r.skip -= some; r.skip > 0 {
			r.n = r.p // the room is free again
			return false, nil
		}
		r.p += some
	}
	b := r.b.buf[r.p:r.n]
	if len(b) < r.need {
		return false, nil
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		if len(b) > lineMost {
			return false, errProtocol
		}
		r.need = 0
		return false, nil
	}
	line := bytes.TrimSuffix(b[:end], []byte("\r"))
	switch {
	case len(line) > 4 && (string(line[:4]) == "MSG " || string(line[:5]) == "HMSG "):
		return r.message(line, end+1)
	case string(line) == "PING":
		r.pong = true
	case string(line) == "PONG":
		r.c.pong()
	case string(line) == "+OK":
	case bytes.HasPrefix(line, []byte("-ERR")):
		r.c.c.Said(strings.Trim(string(line[4:]), " '"))
	case bytes.HasPrefix(line, []byte("INFO ")):
		var i info
		if json.Unmarshal(line[5:], &i) == nil && i.MaxPayload > 0 {
			r.c.most.Store(i.MaxPayload)
		}
	default:
		return false, fmt.Errorf("%w: %.40q", errProtocol, line)
	}
	r.p += end + 1
	return true, nil
}

// message takes MSG and HMSG, whose body begins at start.
func (r *reader) message(line []byte, start int) (bool, error) {
	headed := line[0] == 'H'
	var words [6][]byte
	count := split(line, &words)
	sizes := 1
	if headed {
		sizes = 2
	}
	if count != 3+sizes && count != 4+sizes {
		return false, fmt.Errorf("%w: %.40q", errProtocol, line)
	}
	m := Msg{Subject: words[1]}
	if count == 4+sizes {
		m.Reply = words[3]
	}
	sid, good := number(words[2])
	total, fine := size(words[count-1])
	head := 0
	if headed {
		var also bool
		head, also = size(words[count-2])
		fine = fine && also && head <= total
	}
	if !good || !fine {
		return false, fmt.Errorf("%w: %.40q", errProtocol, line)
	}
	m.sid, m.Size, m.TooLong = sid, total-head, total > r.c.c.Longest
	if m.TooLong {
		r.p += start
		r.skip, r.need = total+2, 0
		r.got = append(r.got, m)
		return true, nil
	}
	end := start + total + 2
	if r.n-r.p < end {
		r.need = end
		return false, nil
	}
	all := r.b.buf[r.p+start : r.p+end]
	if all[total] != '\r' || all[total+1] != '\n' {
		return false, fmt.Errorf("%w: a message does not end where it should", errProtocol)
	}
	m.Body = all[head:total:total]
	if headed {
		m.Header = all[:head:head]
	}
	r.p, r.need = r.p+end, 0
	r.got = append(r.got, m)
	return true, nil
}

// split finds the words of a line; it returns 7 for more than there can be.
func split(line []byte, words *[6][]byte) (count int) {
	for len(line) > 0 {
		end := bytes.IndexByte(line, ' ')
		switch {
		case end == 0:
			line = line[1:]
			continue
		case end < 0:
			end = len(line)
		}
		if count == len(words) {
			return count + 1
		}
		words[count] = line[:end]
		count++
		line = line[end:]
	}
	return count
}

// size reads the length of a message or of its headers, which is less than 2^31.
func size(text []byte) (int, bool) {
	n, good := number(text)
	return int(n), good && n < 1<<31
}

// number reads one with at most 19 digits: subscriptions are counted for as long as the process lives.
func number(text []byte) (n uint64, good bool) {
	if text == nil || len(text) > 19 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}
