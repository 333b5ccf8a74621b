// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// permessage-deflate (RFC 7692), without a context that lasts from message to message: what a
// connection needs for it is there only while a driver works on one of its messages.

const (
	deflateName = "permessage-deflate"
	// deflateTerms are what a client offers, and a server agrees to. deflateWindow is agreed to
	// where an offer has it (RFC 7692, 7.1.2.1): a window of 32 KiB, as without it.
	deflateTerms  = deflateName + "; server_no_context_takeover; client_no_context_takeover"
	deflateWindow = "; " + windowOfServer + "=15"

	windowOfServer = "server_max_window_bits"

	// deflateMin is the shortest body in bytes that is compressed.
	deflateMin = 128
	// rsv1 marks the first frame of a compressed message.
	rsv1 = 0x40
)

// deflateEnd is behind each piece of a compressed message. The last one is not sent.
var deflateEnd = []byte{0, 0, 0xFF, 0xFF}

// deflateTail ends what is decompressed: deflateEnd, and an empty last block.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// deflateAnswer returns what a server agrees to of what a request offers; "": to nothing.
func deflateAnswer(h *head) string {
	for offer := range h.list("Sec-WebSocket-Extensions") {
		switch takes, windowed := takesTerms(offer, true); {
		case takes && windowed:
			return deflateTerms + deflateWindow
		case takes:
			return deflateTerms
		}
	}
	return ""
}

// agreesToDeflate reports whether the answer to an offer of deflateTerms names compression.
func agreesToDeflate(h *head) (agreed bool, err error) {
	for answer := range h.list("Sec-WebSocket-Extensions") {
		if takes, _ := takesTerms(answer, false); agreed || !takes {
			return false, bad("the answer's field Sec-WebSocket-Extensions names what was not asked for")
		}
		agreed = true
	}
	return agreed, nil
}

// takesTerms reports whether this side can do what an offer, or else an answer, of an extension
// asks for. What this side sends needs a window of 32 KiB and no context. windowed: they have windowOfServer.
func takesTerms(terms string, offer bool) (takes, windowed bool) {
	name, rest, more := strings.Cut(terms, ";")
	if !strings.EqualFold(strings.Trim(name, " \t"), deflateName) {
		return false, false
	}
	seen := map[string]bool{}
	for more {
		var term string
		term, rest, more = strings.Cut(rest, ";")
		key, value, has := strings.Cut(strings.Trim(term, " \t"), "=")
		key = strings.ToLower(key)
		value = strings.Trim(value, `"`)
		bits, err := strconv.Atoi(value)
		if strings.HasPrefix(value, "0") || strings.HasPrefix(value, "+") { // RFC 7692, 7.1.2.1
			return false, false
		}
		if seen[key] {
			return false, false
		}
		seen[key] = true
		switch key {
		case "server_no_context_takeover", "client_no_context_takeover":
			if has {
				return false, false
			}
		case "client_max_window_bits": // of an offer, which a server may ignore
			if !offer || has && (err != nil || bits < 8 || bits > 15) {
				return false, false
			}
		case windowOfServer:
			if err != nil || bits > 15 || bits < 8 || offer && bits < 15 {
				return false, false
			}
		default:
			return false, false
		}
	}
	return offer || seen["server_no_context_takeover"], seen[windowOfServer]
}

// chainReader reads the bytes of chunks, and then a tail.
type chainReader struct {
	chunk *shm.Chunk
	at    uint32
	tail  string
}

func (r *chainReader) ReadByte() (byte, error) {
	for c := r.chunk; c != nil; c = r.chunk {
		if r.at < c.End-c.Start {
			r.at++
			return c.Bytes()[c.Start+r.at-1], nil
		}
		r.chunk, r.at = (*shm.Chunk)(c.Next), 0
	}
	if r.tail == "" {
		return 0, io.EOF
	}
	b := r.tail[0]
	r.tail = r.tail[1:]
	return b, nil
}

// padding reports whether what is left behind a last block is nothing, or the one byte 0 that a
// sender may put there (RFC 7692, 7.2.3.4).
func (r *chainReader) padding() bool {
	left := len(r.tail)
	first, err := r.ReadByte()
	if err != nil || left != len(r.tail) {
		return true // of the tail
	}
	_, err = r.ReadByte()
	return first == 0 && (err != nil || left != len(r.tail))
}

func (r *chainReader) Read(p []byte) (n int, err error) {
	for ; n < len(p) && err == nil; n++ {
		p[n], err = r.ReadByte()
	}
	if err != nil {
		n--
	}
	if n > 0 {
		err = nil
	}
	return n, err
}

// inflaters and deflated are for one message at a time of a driver.
var (
	inflaters = sync.Pool{New: func() any { return flate.NewReader(new(chainReader)) }}
	deflated  = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

var errDeflate = webBreach(webInvalidFramePayloadData, "a compressed message that cannot be decompressed")

// inflate replaces the compressed payload in parts with the message. One that is longer than it
// may be is given up as soon as that shows.
func (m *webMessages) inflate() error {
	packed := m.parts
	m.parts, m.last, m.size = nil, nil, 0
	defer shm.FreeChain(packed)
	in := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(in)
	from := &chainReader{chunk: packed, tail: deflateTail}
	if err := in.(flate.Resetter).Reset(from, nil); err != nil {
		return err
	}
	for {
		if m.last == nil || m.last.End == m.last.Cap {
			if !m.addChunk(max(m.size, shm.SmallChunkSize)) {
				return sys.ENOMEM
			}
		}
		n, err := in.Read(m.last.Bytes()[m.last.End:])
		part := m.last.Bytes()[m.last.End:][:n]
		m.last.End += uint32(n)
		m.size += uint64(n)
		m.effort += n
		switch {
		case m.size > m.most:
			m.dropParts()
			return nil
		case m.text && !m.check.add(part):
			return errNoText
		case err == io.EOF && m.text && !m.check.ends():
			return errNoText
		case err == io.EOF && !from.padding():
			return errDeflate
		case err == io.EOF:
			return nil
		case err != nil:
			return errDeflate
		}
	}
}

// addChunk adds a chunk to parts, for about so many more bytes.
func (m *webMessages) addChunk(bytes uint64) bool {
	c := shm.NewSparing(bytes)
	if c == nil {
		return false
	}
	if m.last == nil {
		m.parts = c
	} else {
		m.last.Link(c)
	}
	m.last = c
	return true
}

// packedMost is the longest compressed form of a message that may be so long. What does not
// compress takes a little more than its length.
func packedMost(most uint64) uint64 { return most + most/64 + 64 }

// appendPacked appends the next part of the message that is being sent, compressed, as a fragment.
// Without a gain, a message that has one part goes as it is.
func (m *webMessages) appendPacked(dst, part []byte) []byte {
	out := deflated.Get().(*bytes.Buffer)
	defer deflated.Put(out)
	out.Reset()
	_ = flate.StatelessDeflate(out, part, false, nil) // a buffer takes everything
	packed, first := out.Bytes(), m.packing == packFirst
	if m.writeLeft -= uint64(len(part)); m.writeLeft == 0 {
		packed = bytes.TrimSuffix(packed, deflateEnd)
	}
	op, flags := m.packOp, byte(rsv1)
	if !first {
		op, flags = webOpContinuation, 0
	}
	if m.packing = packNext; m.writeLeft == 0 {
		flags, m.packing = flags|0x80, packNone
		if first && len(packed) >= len(part) {
			packed, flags = part, 0x80
		}
	}
	at := len(dst)
	dst = m.appendHeader(dst, op, uint64(len(packed)))
	dst[at] = flags | byte(op)
	from := len(dst)
	dst = append(dst, packed...)
	if m.client {
		webMask(dst[from:], m.writeKey, 0)
	}
	return dst
}

// What is to be done with the message that is being sent.
const (
	packNone  = 0 // it goes as it is
	packFirst = 1 // nothing of it is sent
	packNext  = 2 // its first fragment is
)
