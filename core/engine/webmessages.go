// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// webMessages is the WebSocket layer of FramingMessages. A message of the wire becomes a frame:
// its length, and its payload as that comes. The length of a message in fragments is known at its
// end, so its payload waits in chunks until then. What one read returns is all binary or all text,
// so a run has one kind of messages. Driver only.
type webMessages struct {
	webSocket
	most uint64 // longest message

	// The message being read.
	text    bool // it is text
	streams bool // it has one fragment, and its payload is passed on as it comes
	whole   bool // all of parts is there, to be returned
	packed  bool // it is compressed
	check   utf8Check
	size    uint64     // of its fragments so far
	parts   *shm.Chunk // their payload
	last    *shm.Chunk // of parts

	// What is returned next.
	length    [lengthSize]byte // of the frame
	lengthDue uint8            // bytes of length to come
	given     bool             // this read has returned something
	kind      bool             // what it returned is text
	turns     bool             // the next frame is of the other kind: another read returns it
	input     []byte           // from the wire, to be decoded behind that
	err       error            // to be returned behind that
	dropping  bool             // no message is wanted any more, but the peer's Close frame

	effort   int   // bytes that were decompressed and not yet charged
	packing  uint8 // of the message being sent: packNone, packFirst or packNext
	packOp   webOp // its kind
	sendHave uint8 // bytes of sendHead
	sendHead [lengthSize]byte
}

func newWebMessages(w *webSocket, longest int64) *webMessages {
	m := &webMessages{webSocket: *w, most: TextMost}
	if longest >= 0 && longest < TextMost {
		m.most = uint64(longest)
	}
	m.texts, m.opening.known = true, true
	return m
}

// leastIn is the least room for which several bytes are read at a time.
const leastIn = 64

// begin begins a read of the connection's.
func (m *webMessages) beginRead() {
	m.given = false
	if m.turns {
		m.turns, m.kind = false, m.text
	}
}

// keeps reports whether Decode has something to return without a read.
func (m *webMessages) keeps() bool { return m.due() || len(m.input) > 0 || m.err != nil }

// due reports whether a part of a frame is to be returned.
func (m *webMessages) due() bool { return m.lengthDue > 0 || m.whole }

// Decode reads into the end of buf and decodes to its start. Where that needs more room, the
// rest of the input is kept.
func (m *webMessages) Decode(below Level, buf []byte) (n int, err error) {
	if m.peerOver && !m.keeps() {
		return 0, io.EOF
	}
	if m.keeps() {
		return m.decodeKept(below, buf)
	}
	lift := m.lift(len(buf))
	in := buf[lift:]
	if m.dense {
		in = in[:min(len(in), denseRead)]
	}
	got, readErr := below.Read(in)
	if got > 0 {
		before, controls := m.frames, m.controls
		used := 0
		n, used, err = m.unpack(buf, lift, in[:got])
		if used < got {
			m.input = bytes.Clone(in[used:got])
		}
		frames, hollow := int(m.frames-before), int(m.controls-controls)
		if m.dense = frames*denseFrame > got; m.dense {
			below.Charge(frames * framePrice)
			hollow = frames
		}
		below.Count(hollow)
		below.Charge(m.effort)
		m.effort = 0
	}
	if err = cmp.Or(err, readErr); err != nil && m.keeps() {
		err, m.err = nil, err
	}
	return n, err
}

// lift returns where in a buffer of this size to read, so that decoding towards its start has
// room. A client's header is longer than a length field, a server's shorter.
func (m *webMessages) lift(size int) int {
	switch {
	case m.inFrame && m.streams && !m.op.isControl() && m.left >= uint64(size):
		return 0
	case size < leastIn:
		return size - 1
	case m.client:
		return size/2 + lengthSize
	}
	return 2 * webHeaderMax
}

// decodeKept decodes what an earlier read has left.
func (m *webMessages) decodeKept(below Level, buf []byte) (n int, err error) {
	if m.turns {
		return 0, errAgain
	}
	n = m.giveDue(buf)
	if len(m.input) > 0 && !m.due() {
		more, used := 0, 0
		more, used, err = m.unpack(buf[n:], -1, m.input)
		n += more
		if m.input = m.input[used:]; len(m.input) == 0 {
			m.input = nil
		}
	}
	below.Charge(lookPrice + n + m.effort)
	m.effort = 0
	switch {
	case err != nil && m.keeps():
		err, m.err = nil, err
	case err == nil && !m.due() && len(m.input) == 0:
		err, m.err = m.err, nil
	}
	return n, err
}

// unpack decodes bytes from the wire until out is full or another read has to return more. It
// returns how many bytes it decoded to out, and how many of the input it used. The input begins
// at offset lift of out, and then no more is decoded than is used; a negative lift says that it
// lies elsewhere.
func (m *webMessages) unpack(out []byte, lift int, in []byte) (n, at int, err error) {
	for err == nil {
		limit := len(out)
		if lift >= 0 {
			limit = lift + at
		}
		if m.due() {
			if n += m.giveDue(out[n:limit]); m.due() {
				break
			}
		}
		switch {
		case m.peerOver: // nothing follows a Close frame
			return n, len(in), io.EOF
		case at == len(in):
			return n, at, nil
		case !m.inFrame:
			head, used := m.header(in[at:])
			if at += used; head != nil {
				err = m.beginHead(head)
			}
		default:
			part := in[at : at+int(min(m.left, uint64(len(in)-at)))]
			if lift < 0 && m.passes() {
				part = part[:min(len(part), len(out)-n)]
			}
			if len(part) == 0 && m.left > 0 {
				return n, at, nil
			}
			at += len(part)
			more := 0
			more, err = m.payload(out[n:], part)
			n += more
		}
	}
	if err != nil { // what follows a breach is dropped, up to the peer's Close frame
		at += m.skip(in[at:])
	}
	return n, at, err
}

// skip follows the frames of a peer that has broken the protocol.
func (m *webMessages) skip(in []byte) (used int) {
	for used < len(in) && !m.peerOver {
		if m.inFrame {
			n := min(m.left, uint64(len(in)-used))
			used += int(n)
			if m.left -= n; m.left == 0 {
				_ = m.endFrame()
			}
			continue
		}
		head, n := m.header(in[used:])
		if used += n; head != nil {
			_ = m.beginHead(head)
		}
	}
	return len(in)
}

// passes reports whether the payload of the frame is passed on as it comes.
func (m *webMessages) passes() bool {
	return m.streams && !m.op.isControl() && !m.skipping && !m.dropping
}

// beginHead begins a frame, and ends it if it has no payload.
func (m *webMessages) beginHead(head []byte) error {
	err := m.beginFrame(head)
	if err == nil && !m.skipping && !m.op.isControl() {
		m.beginData(head[0]&rsv1 != 0)
	}
	if m.left == 0 {
		err = cmp.Or(err, m.endPart())
	}
	return err
}

// beginData begins a fragment of a message. A message that is too long is given up here: the
// connection sees its length and ends.
func (m *webMessages) beginData(packed bool) {
	if m.dropping {
		return
	}
	if m.op != webOpContinuation {
		m.text, m.size, m.packed = m.op == webOpText, 0, packed
		m.streams = m.fin && !packed
		m.check = utf8Check{}
	}
	most := m.most
	if m.packed {
		most = packedMost(most)
	}
	switch size := m.size + m.left; {
	case size > most:
		m.giveUp(size)
	case m.streams:
		m.emit(size)
	}
}

// giveUp ends what is taken from the peer with the length of a message that is too long.
func (m *webMessages) giveUp(size uint64) {
	m.emit(size)
	m.streams, m.skipping = false, true
	m.dropParts()
}

// emit has the length of a frame returned next.
func (m *webMessages) emit(size uint64) {
	binary.BigEndian.PutUint32(m.length[:], uint32(min(size, 1<<32-1)))
	m.lengthDue = lengthSize
	if m.given && m.text != m.kind {
		m.turns = true
		return
	}
	m.kind = m.text
}

// payload handles the next bytes of a frame, and the frame's end if that is there. It returns
// how many of them are now in out.
func (m *webMessages) payload(out, part []byte) (n int, err error) {
	m.left -= uint64(len(part))
	switch {
	case m.skipping, m.dropping && !m.op.isControl(): // only its end counts
	case m.op.isControl():
		m.unmask(part, part)
		t := m.talks()
		t.control = append(t.control, part...)
	case m.streams:
		m.unmask(out, part)
		if m.text && !(m.check.add(out[:len(part)]) && (m.left > 0 || m.check.ends())) {
			return 0, m.breaks(errNoText)
		}
		n, m.given = len(part), true
	default:
		m.unmask(part, part)
		if m.text && !m.packed && !m.check.add(part) {
			return 0, m.breaks(errNoText)
		}
		if err = m.keepPart(part); err != nil {
			return 0, err
		}
	}
	if m.left == 0 {
		err = m.endPart()
	}
	return n, err
}

var errNoText = webBreach(webInvalidFramePayloadData, "a text message that is not UTF-8")

// endPart ends a frame.
func (m *webMessages) endPart() error {
	if m.skipping || m.dropping || m.op.isControl() || !m.fin {
		return m.endFrame()
	}
	if m.streams {
		return m.endFrame()
	}
	if m.packed {
		if err := m.inflate(); err != nil {
			return m.breaks(err)
		}
	} else if m.text && !m.check.ends() {
		return m.breaks(errNoText)
	}
	err := m.endFrame()
	if m.size > m.most {
		m.giveUp(m.size)
		return err
	}
	m.whole = true
	m.emit(m.size)
	return err
}

// keepPart keeps the payload of a fragment.
func (m *webMessages) keepPart(part []byte) error {
	m.size += uint64(len(part))
	for len(part) > 0 {
		if m.last == nil || m.last.End == m.last.Cap {
			if !m.addChunk(m.size) {
				return sys.ENOMEM
			}
		}
		n := copy(m.last.Bytes()[m.last.End:], part)
		m.last.End += uint32(n)
		part = part[n:]
	}
	return nil
}

// giveDue returns what is due of a frame, as far as out has room.
func (m *webMessages) giveDue(out []byte) (n int) {
	if m.turns {
		return 0
	}
	n = copy(out, m.length[lengthSize-m.lengthDue:])
	m.lengthDue -= uint8(n)
	if m.lengthDue == 0 && m.whole {
		n += m.giveParts(out[n:])
	}
	m.given = m.given || n > 0
	return n
}

func (m *webMessages) giveParts(out []byte) (n int) {
	for c := m.parts; c != nil; c = m.parts {
		got := copy(out[n:], c.Bytes()[c.Start:c.End])
		n += got
		if c.Start += uint32(got); c.Start < c.End {
			return n
		}
		m.parts = (*shm.Chunk)(c.Next)
		shm.FreeChunk(c)
	}
	m.last, m.whole, m.size = nil, false, 0
	return n
}

func (m *webMessages) dropParts() {
	shm.FreeChain(m.parts)
	m.parts, m.last = nil, nil
}

// dropFragments has the layer of FramingMessages drop what it has of messages, and those to come.
func (c *Conn) dropFragments() {
	if c.link != nil && c.link.messages {
		m := c.link.texts()
		m.dropping, m.turns = true, false
		m.lengthDue, m.whole = 0, false
		m.dropParts()
	}
}

// held returns the memory of a message in fragments.
func (m *webMessages) held() int64 { return m.parts.ChainSize() }

// Size adds what is kept to the measured size.
func (m *webMessages) Size() int64 { return webSize + m.held() + int64(cap(m.input)) }

// Drop frees the fragments.
func (m *webMessages) Drop() {
	m.whole = false
	m.dropParts()
}
