// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// The exchange of a handover. The new process begins with TAKE, the old one answers with HAND,
// its endpoints and their descriptors, and the new one ends with DONE once all are bound.
// Either may send FAIL instead, with a number and a sentence. A part is a tag of 6 bytes, a
// version of 2, the length of the rest in 4 (all big endian), and the rest. The rest of HAND is for
// each endpoint its length in 2 bytes and its text; descriptors come in the same order.
const (
	tagTake = "ZLTAKE"
	tagHand = "ZLHAND"
	tagDone = "ZLDONE"
	tagFail = "ZLFAIL"

	exchangeVersion = 1
	partHead        = 12

	mostState    = 256 << 10 // bytes of HAND
	mostSentence = 1024      // bytes of FAIL, with its number
)

// channel is one end of the exchange, over a local stream socket.
type channel struct {
	fd    int
	end   time.Time    // zero: no limit
	state func() error // why the socket's calls end, or nil
}

// peerUser is sys.PeerUser; tests have others.
var peerUser = sys.PeerUser

// channelNap is how often a wait looks whether the socket has been closed.
const channelNap = 20 * time.Millisecond

// within bounds what follows.
func (c *channel) within(most time.Duration) {
	if end := time.Now().Add(most); c.end.IsZero() || end.Before(c.end) {
		c.end = end
	}
}

// wait waits for bytes or room, once.
func (c *channel) wait(fd int, room bool, what string) error {
	if err := c.state(); err != nil {
		return err
	}
	nap := channelNap
	if !c.end.IsZero() {
		left := time.Until(c.end)
		if left <= 0 {
			return errno.New(errno.ETIMEDOUT, "the time of the handover is over: %s", what)
		}
		nap = min(nap, left+time.Millisecond)
	}
	sys.WaitFor(fd, room, nap)
	return nil
}

// accept waits for the process that takes over.
func (c *channel) accept(listener int) (int, error) {
	for {
		fd, _, err := sys.Accept(listener)
		switch err {
		case 0:
			return fd, nil
		case sys.EAGAIN, sys.EINTR, sys.ECONNABORTED:
		default:
			return -1, errno.New(errno.Of(err), "cannot accept the process that takes over")
		}
		if err := c.wait(listener, false, "no process has come to take over"); err != nil {
			return -1, err
		}
	}
}

// connect returns a connection to the process that hands over.
func (c *channel) connect(path string) (int, error) {
	fd, err := sys.Socket(sys.Local)
	if err != nil {
		return -1, errno.New(errno.Of(err), "cannot open a local socket")
	}
	for {
		err := sys.Connect(fd, sys.Address{Path: path})
		if err == nil {
			return fd, nil
		}
		if err != sys.EAGAIN && err != sys.EINTR {
			sys.Close(fd)
			return -1, errno.New(errno.Of(err), "no process hands over at %q", path)
		}
		if err := c.wait(-1, false, "others take over at the path"); err != nil {
			sys.Close(fd)
			return -1, err
		}
	}
}

// trust checks that the descriptor is a local stream with an end in another process, and that this is
// of this one's user, or of root.
func (c *channel) trust() error {
	user, err := peerUser(c.fd)
	if err != nil || user == sys.NoUser || !sys.LocalStream(c.fd) {
		return errno.New(errno.EINVAL, "descriptor %d is no connected local stream socket", c.fd)
	}
	if own := sys.User(); user != own && user != 0 {
		return errno.New(errno.EACCES, "the other process of the handover is of user %d, this one of user %d", user, own)
	}
	return nil
}

// part is a part of the exchange that has come.
type part struct {
	body []byte
	fds  []int
}

// close closes the descriptors that nobody has taken.
func (p part) close() {
	for _, fd := range p.fds {
		sys.Close(fd)
	}
}

// read reads a part with a tag, of which at most so many bytes may follow the head.
func (c *channel) read(tag string, most int) (p part, err error) {
	defer func() {
		if err != nil {
			p.close()
			p = part{}
		}
	}()
	var head [partHead]byte
	if err := c.fill(&p, head[:]); err != nil {
		return p, err
	}
	got, version, size := string(head[:6]), binary.BigEndian.Uint16(head[6:]), binary.BigEndian.Uint32(head[8:])
	failed := got == tagFail
	if failed {
		most = mostSentence
	}
	switch {
	case got != tag && !failed:
		return p, errno.New(errno.EPROTO, "the other process does not speak of a handover: %.20q", head[:6])
	case version != exchangeVersion:
		return p, errno.New(errno.EPROTO, "the other process has version %d of the handover, this one %d", version, exchangeVersion)
	case size > uint32(most):
		return p, errno.New(errno.EPROTO, "%d bytes are too many in a handover, at most %d", size, most)
	}
	p.body = make([]byte, size)
	if err := c.fill(&p, p.body); err != nil {
		return p, err
	}
	switch {
	case failed:
		return p, failure(tag, p.body)
	case tag != tagHand && len(p.fds) > 0:
		return p, errno.New(errno.EPROTO, "descriptors came with a part of a handover that has none")
	}
	return p, nil
}

// failure is the error of FAIL.
func failure(instead string, body []byte) error {
	why, number := "", errno.ECANCELED
	if len(body) > 4 {
		why = fmt.Sprintf("%.*q", mostSentence, body[4:])
	}
	if instead == tagHand {
		number = errno.ECONNRESET
	}
	return errno.New(number, "the other process ended the handover: %s", why)
}

// fill reads until buf is full. Descriptors are added to p.
func (c *channel) fill(p *part, buf []byte) error {
	for len(buf) > 0 {
		n, fds, err := sys.RecvPassed(c.fd, buf)
		p.fds = append(p.fds, fds...)
		switch {
		case len(p.fds) > sys.MostPassed:
			return errno.New(errno.EPROTO, "%d descriptors are too many in a handover, at most %d", len(p.fds), sys.MostPassed)
		case err == sys.EAGAIN || err == sys.EINTR:
			if err := c.wait(c.fd, false, "the other process is silent"); err != nil {
				return err
			}
		case err == sys.EMFILE:
			return errno.New(errno.EMFILE, "the process has no room for the descriptors of a handover")
		case err == sys.ENOTSOCK:
			return errno.New(errno.EINVAL, "descriptor %d is no connected local stream socket", c.fd)
		case err != nil && err != sys.ECONNRESET:
			return errno.New(errno.Of(err), "cannot read from the other process of the handover")
		case n == 0 || err != nil:
			return errno.New(errno.ECONNRESET, "the other process ended before the handover was over")
		}
		buf = buf[n:]
	}
	return nil
}

// write writes a part with descriptors.
func (c *channel) write(tag string, body []byte, fds []int) error {
	data := append([]byte(tag), 0, exchangeVersion)
	data = append(binary.BigEndian.AppendUint32(data, uint32(len(body))), body...)
	for len(data) > 0 {
		n, err := sys.SendPassing(c.fd, data, fds)
		switch err {
		case nil:
			data, fds = data[n:], nil
		case sys.EAGAIN, sys.EINTR:
			if err := c.wait(c.fd, true, "the other process does not read"); err != nil {
				return err
			}
		case sys.EPIPE, sys.ECONNRESET:
			return errno.New(errno.ECONNRESET, "the other process ended before the handover was over")
		default:
			return errno.New(errno.Of(err), "cannot write to the other process of the handover")
		}
	}
	return nil
}

// refuse tells the other process why this one ends the exchange, if it takes that at once.
func (c *channel) refuse(why error) {
	text := errno.Detail(why)
	if text == "" {
		text = why.Error()
	}
	body := binary.BigEndian.AppendUint32(nil, uint32(errno.Of(why)))
	body = append(body, text[:min(len(text), mostSentence-len(body))]...)
	c.end = time.Now()
	_ = c.write(tagFail, body, nil)
}

// handed is what a process gives to the next one.
type handed struct {
	texts []string // endpoints, as they were bound
	fds   []int    // of their listeners; -1: somebody has taken it
}

func (h *handed) close() {
	for _, fd := range h.fds {
		if fd >= 0 {
			sys.Close(fd)
		}
	}
}

func (h *handed) encode() (body []byte) {
	for _, text := range h.texts {
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(text))), text...)
	}
	return body
}

// handed reads what encode has written. Descriptors are the result's, also with an error.
func (p part) handed() (h handed, err error) {
	h.fds = p.fds
	for rest := p.body; len(rest) > 0; {
		if len(rest) < 2 || len(rest) < 2+int(binary.BigEndian.Uint16(rest)) {
			return h, errno.New(errno.EPROTO, "an endpoint of the handover is cut off")
		}
		size := 2 + int(binary.BigEndian.Uint16(rest))
		h.texts = append(h.texts, string(rest[2:size]))
		rest = rest[size:]
	}
	if len(h.texts) != len(h.fds) || len(h.texts) == 0 {
		return h, errno.New(errno.EPROTO, "%d endpoints and %d descriptors are no handover", len(h.texts), len(h.fds))
	}
	return h, nil
}
