// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"io"
	"math"
	"unicode/utf8"
)

// webFrameMax is the longest accepted WebSocket frame: the longest message with its length
// field. The length of a frame by itself takes no memory.
const webFrameMax = lengthSize + math.MaxUint32

// webHeaderMax is the longest header of a frame in bytes.
const webHeaderMax = 14

// webSocket is a connection's state of RFC 6455 after the handshake. Data messages are
// binary. How messages and their fragments split the stream has no meaning. Driver only.
type webSocket struct {
	client bool // this side masks, and the peer does not

	// The frame being read.
	inFrame   bool // its header is complete
	inMessage bool // a data message continues in the next data frame
	fin       bool
	op        webOp
	readAt    uint8 // position in readKey
	readKey   [4]byte
	headLen   uint8 // bytes of head
	head      [webHeaderMax]byte
	dense     bool // the last read brought hardly more than headers

	// The message being written.
	writeAt   uint8
	writeKey  [4]byte
	writeLeft uint64 // bytes of payload to come

	left     uint64 // bytes of payload to come of the frame being read
	frames   uint32 // frames ever begun, modulo 2^32
	controls uint32 // of them, control frames

	pongOwed   bool    // the ping is still to be answered
	pingOwed   bool    // the peer is still to be asked for a sign of life
	closeCode  webCode // for the Close frame; 0: a normal end
	noCode     bool    // the Close frame has no code, because the peer's had none
	closed     bool    // the Close frame is written
	skipping   bool    // the peer broke the protocol: what it sends is dropped
	peerOver   bool    // the peer's Close frame has come, also one that is wrong or dropped
	peerClosed bool    // it was right, and nothing was wrong before it
	peerCode   webCode // its code; 0: none
	texts      bool    // text messages are taken: webmessages.go
	deflates   bool    // both sides may compress messages: webdeflate.go

	opening opening  // how the stream begins
	talk    *webTalk // what few connections have at a time; nil: nothing of it
}

// webTalk is what the sides of a WebSocket say to each other beside the stream.
type webTalk struct {
	control []byte // payload of a control frame so far
	pong    []byte // payload of the last ping
	why     string // reason in the Close frame
	peerWhy string // in the peer's
}

// talks returns the connection's webTalk, and creates it on the first call.
func (w *webSocket) talks() *webTalk {
	if w.talk == nil {
		w.talk = new(webTalk)
	}
	return w.talk
}

// said returns what there is of webTalk, for reading.
func (w *webSocket) said() webTalk {
	if w.talk == nil {
		return webTalk{}
	}
	return *w.talk
}

// decode turns bytes from the wire, in place, into those of the stream, and returns their
// number. io.EOF: the peer's Close frame follows them. *webError: the peer broke the
// protocol behind them. The frames that follow such a breach are dropped, up to the peer's
// Close frame: it shows that the peer has read this side's.
func (w *webSocket) decode(buf []byte) (n int, err error) {
	for at := 0; at < len(buf) && !w.peerOver; {
		if !w.inFrame {
			used, breach := w.readHeader(buf[at:])
			at += used
			err = cmp.Or(err, breach)
			continue
		}
		part := buf[at : at+int(min(w.left, uint64(len(buf)-at)))]
		at += len(part)
		w.left -= uint64(len(part))
		switch {
		case w.skipping: // only its end counts
		case w.op.isControl():
			w.unmask(part, part)
			t := w.talks()
			t.control = append(t.control, part...)
		default:
			w.unmask(buf[n:], part)
			if !w.opening.known {
				w.opening.look(buf[n : n+len(part)])
			}
			n += len(part)
		}
		if w.left == 0 {
			err = cmp.Or(err, w.endFrame())
		}
	}
	if err == nil && w.peerOver {
		err = io.EOF
	}
	return n, err
}

// unmask moves a part of the frame's payload to the front of dst, and takes its mask off.
func (w *webSocket) unmask(dst, part []byte) {
	if w.client {
		copy(dst, part)
		return
	}
	webMaskTo(dst, part, w.readKey, int(w.readAt))
	w.readAt = uint8(int(w.readAt)+len(part)) & 3
}

// breaks returns the peer's first mistake, after which everything is dropped. Of another
// one it returns nil.
func (w *webSocket) breaks(err error) error {
	if w.skipping {
		return nil
	}
	w.skipping = err != nil
	return err
}

// readHeader collects the header of the next frame, and begins the frame when the header is
// complete.
func (w *webSocket) readHeader(buf []byte) (used int, err error) {
	head, used := w.header(buf)
	if head != nil {
		err = w.begin(head)
	}
	return used, err
}

// header collects the header of the next frame, and returns it when it is complete.
func (w *webSocket) header(buf []byte) (head []byte, used int) {
	if w.headLen == 0 && len(buf) >= webHeaderMax { // it is whole
		used = headerSize(buf)
		return buf[:used], used
	}
	for {
		need := headerSize(w.head[:w.headLen])
		if int(w.headLen) == need {
			break
		}
		n := copy(w.head[w.headLen:need], buf[used:])
		w.headLen += uint8(n)
		if used += n; used == len(buf) && int(w.headLen) < need {
			return nil, used
		}
	}
	head = w.head[:w.headLen]
	w.headLen = 0
	return head, used
}

// begin begins a frame, and ends it if it has no payload.
func (w *webSocket) begin(head []byte) error {
	err := w.beginFrame(head)
	if w.left == 0 {
		err = cmp.Or(err, w.endFrame())
	}
	return err
}

// headerSize returns the size of a header as far as its first bytes determine it.
func headerSize(head []byte) int {
	if len(head) < 2 {
		return 2
	}
	size := 2
	switch head[1] & 0x7F {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if head[1]&0x80 != 0 {
		size += 4
	}
	return size
}

func breach(text string) error { return webBreach(webProtocolError, text) }

// beginFrame parses a complete header, and checks it (RFC 6455, 5.2).
func (w *webSocket) beginFrame(head []byte) error {
	w.fin, w.op = head[0]&0x80 != 0, webOp(head[0]&0x0F)
	masked := head[1]&0x80 != 0
	size, minimal := uint64(head[1]&0x7F), uint64(0)
	switch size {
	case 126:
		size, minimal = uint64(binary.BigEndian.Uint16(head[2:])), 126
	case 127:
		size, minimal = binary.BigEndian.Uint64(head[2:]), math.MaxUint16+1
	}
	w.readKey, w.readAt = [4]byte{}, 0
	if masked {
		w.readKey = [4]byte(head[len(head)-4:])
	}
	w.inFrame, w.left = true, size
	if w.talk != nil {
		w.talk.control = w.talk.control[:0]
	}
	w.frames++
	return w.breaks(w.checkHead(head, masked, size, minimal))
}

// checkHead checks the header of a frame of size bytes, of which its length field says at
// least minimal.
func (w *webSocket) checkHead(head []byte, masked bool, size, minimal uint64) error {
	switch {
	case head[0]&0x70 != 0 && !w.compressed(head[0]):
		return breach("a reserved bit is set")
	case masked == w.client:
		return breach("clients mask their frames, servers do not")
	case size < minimal:
		return breach("a length has more bytes than it needs")
	case size > math.MaxInt64:
		return breach("a length above 2^63")
	}
	return w.checkOp(size)
}

// compressed reports whether the first byte of a frame says that its message is compressed, and
// may do so.
func (w *webSocket) compressed(first byte) bool {
	return w.deflates && first&0x70 == rsv1 && (w.op == webOpText || w.op == webOpBinary)
}

func (w *webSocket) checkOp(size uint64) error {
	switch w.op {
	case webOpContinuation:
		if !w.inMessage {
			return breach("nothing to continue")
		}
	case webOpText, webOpBinary:
		if w.op == webOpText && !w.texts {
			return webBreach(webUnsupportedData, "a text message; only binary ones are taken")
		}
		if w.inMessage {
			return breach("a new message inside another")
		}
		w.inMessage = true
	case webOpClose, webOpPing, webOpPong:
		if !w.fin || size > webControlMax {
			return breach("a control frame is fragmented or too long")
		}
		w.controls++
	default:
		return breach("a reserved opcode")
	}
	if size > webFrameMax {
		return &webError{code: webMessageTooBig, cause: CauseTooLong, text: "a frame longer than any message"}
	}
	return nil
}

// endFrame reacts to a complete frame.
func (w *webSocket) endFrame() error {
	w.inFrame = false
	w.peerOver = w.op == webOpClose
	if w.skipping {
		return nil
	}
	switch w.op {
	case webOpPing: // if there are several, answering the last is enough (5.5.3)
		t := w.talks()
		t.pong, w.pongOwed = append(t.pong[:0], t.control...), true
	case webOpClose:
		return w.breaks(w.closedBy(w.said().control))
	case webOpContinuation, webOpBinary, webOpText:
		w.inMessage = !w.fin
		if w.fin && !w.opening.known {
			return w.breaks(w.opening.endMessage())
		}
	}
	return nil
}

// closedBy handles the payload of the peer's Close frame.
func (w *webSocket) closedBy(payload []byte) error {
	switch {
	case len(payload) == 0:
		w.noCode = w.closeCode == 0
	case len(payload) == 1:
		return breach("a Close frame with half a code")
	default:
		code := webCode(binary.BigEndian.Uint16(payload))
		if !possibleCode(code) {
			return breach("a Close frame with a code that cannot be sent")
		}
		if !utf8.Valid(payload[2:]) {
			return webBreach(webInvalidFramePayloadData, "a Close frame's reason is not UTF-8")
		}
		w.peerCode = code
		if why := payload[2:]; len(why) > 0 {
			w.talks().peerWhy = string(why)
		}
		if w.closeCode == 0 {
			w.closeCode = code
		}
	}
	w.peerClosed = true
	return nil
}

// possibleCode reports whether a Close frame may carry a code (RFC 6455, 7.4, and the
// registry that it opens).
func possibleCode(code webCode) bool {
	return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
}

// beginMessage appends the header of a message of size bytes. Calls of seal for all of the
// bytes must follow.
func (w *webSocket) beginMessage(dst []byte, size uint64) []byte {
	w.writeLeft, w.writeAt = size, 0
	return w.appendHeader(dst, webOpBinary, size)
}

// seal masks the next bytes of the message in place if this side must mask.
func (w *webSocket) seal(part []byte) {
	if w.client {
		webMask(part, w.writeKey, int(w.writeAt))
		w.writeAt = uint8(int(w.writeAt)+len(part)) & 3
	}
	w.writeLeft -= uint64(len(part))
}

// appendHeader appends the header of an unfragmented frame. A client's header gets a new,
// unpredictable key (10.3).
func (w *webSocket) appendHeader(dst []byte, op webOp, size uint64) []byte {
	mask := byte(0)
	if w.client {
		mask = 0x80
	}
	dst = append(dst, 0x80|byte(op))
	switch {
	case size < 126:
		dst = append(dst, mask|byte(size))
	case size <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(size))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, mask|127), size)
	}
	if w.client {
		_, _ = rand.Read(w.writeKey[:])
		dst = append(dst, w.writeKey[:]...)
	}
	return dst
}

// appendControl appends a control frame. It may be called only between messages.
func (w *webSocket) appendControl(dst []byte, op webOp, payload []byte) []byte {
	dst = w.appendHeader(dst, op, uint64(len(payload)))
	from := len(dst)
	dst = append(dst, payload...)
	if w.client {
		webMask(dst[from:], w.writeKey, 0)
	}
	return dst
}

// appendOwed appends the owed pong and ping. It may be called only between messages.
func (w *webSocket) appendOwed(dst []byte) []byte {
	if w.closed {
		return dst
	}
	if w.pongOwed {
		w.pongOwed = false
		dst = w.appendControl(dst, webOpPong, w.said().pong)
	}
	if w.pingOwed {
		w.pingOwed = false
		dst = w.appendControl(dst, webOpPing, nil)
	}
	return dst
}

// appendClose appends the Close frame.
func (w *webSocket) appendClose(dst []byte) []byte {
	if w.noCode {
		return w.appendControl(dst, webOpClose, nil)
	}
	code := w.closeCode
	if code == 0 {
		code = webNormalClosure
	}
	payload := binary.BigEndian.AppendUint16(make([]byte, 0, 2+CloseReasonMax), uint16(code))
	return w.appendControl(dst, webOpClose, append(payload, w.said().why...))
}
