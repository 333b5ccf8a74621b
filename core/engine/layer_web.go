// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"io"
)

// webSize is the memory in bytes that WebSocket needs for a connection, during its
// handshake and afterwards.
const webSize = 4 << 10

var layerWeb = LayerKind{Shake: shakeWeb, PeerFirst: true, Holds: webSize}

func shakeWeb(below Level, g *Greeting) (Layer, error) {
	w, behind, err := upgrade(below, g.Transport, g.Dialled, g.notes, g.ask)
	if err != nil {
		return nil, err
	}
	below.Unread(behind)
	return w, nil
}

// webError is a breach of the WebSocket protocol, or of HTTP before it.
type webError struct {
	code   webCode // for the Close frame to the peer; 0 during the handshake
	status int     // HTTP status with which a server, or its application, refused the upgrade; 0: none
	cause  Cause   // of the end; CauseUnknown: CauseHandshake before the upgrade, CauseProtocol after it
	text   string
}

func webBreach(code webCode, text string) error { return &webError{code: code, text: text} }

// causeOfBreach returns why a connection ends whose peer broke the rules after the handshake.
func causeOfBreach(err error) Cause {
	var web *webError
	if errors.As(err, &web) && web.cause != CauseUnknown {
		return web.cause
	}
	return CauseProtocol
}

func (e *webError) Error() string { return "websocket: " + e.text }

// asking is Greeting.ask: of a request for a WebSocket (web), which offers these subprotocols, or of
// a connection of another kind.
type asking = func(web bool, offers []string) (Decision, error)

// upgrade makes the WebSocket handshake (RFC 6455, 4). behind holds the bytes that came
// after it. An error is the connection's own, or a *webError.
func upgrade(conn io.ReadWriter, t *Transport, dialled bool, n *notes, ask asking) (w *webSocket, behind []byte, err error) {
	heads, deflates := &headReader{conn: conn, max: t.headerMax(), answers: dialled}, false
	if dialled {
		deflates, err = dialWeb(heads, conn, t)
	} else {
		deflates, err = acceptWeb(heads, conn, t, n, ask)
	}
	if err != nil {
		return nil, nil, err
	}
	return &webSocket{client: dialled, deflates: deflates}, heads.behind(), nil
}

// Decode reads frames and decodes them in place. Frames cost more than their bytes, so
// where they are dense the next read is short and the turn ends early.
func (w *webSocket) Decode(below Level, buf []byte) (n int, err error) {
	if w.peerOver { // the Close frame came with a breach, which was reported
		return 0, io.EOF
	}
	if w.dense {
		buf = buf[:min(len(buf), denseRead)]
	}
	got, readErr := below.Read(buf)
	if got > 0 {
		before, controls := w.frames, w.controls
		n, err = w.decode(buf[:got])
		frames, hollow := int(w.frames-before), int(w.controls-controls)
		if w.dense = frames*denseFrame > got; w.dense {
			below.Charge(frames * framePrice)
			hollow = frames
		}
		below.Count(hollow)
	}
	if err == nil {
		err = readErr
	}
	return n, err // the peer's end, or its mistake
}

// Seal appends the owed pong and ping, then a message of whole zlink frames, or the
// continuation of one.
func (w *webSocket) Seal(dst []byte, above Source) []byte {
	if w.writeLeft == 0 {
		dst = w.appendOwed(dst)
		if size := above.Whole(); size > 0 {
			dst = w.beginMessage(dst, size)
		}
	}
	from := len(dst)
	dst = above.Gather(dst, min(sealBytes, w.writeLeft))
	w.seal(dst[from:])
	return dst
}

// Close appends a Close frame, unless that would be in the middle of a message.
func (w *webSocket) Close(dst []byte) []byte {
	if w.writeLeft > 0 || w.closed {
		return dst
	}
	w.closed = true
	return w.appendClose(dst)
}

// Owes counts an owed pong and ping.
func (w *webSocket) Owes() (bytes int) {
	if w.closed {
		return 0
	}
	if w.pongOwed {
		bytes += webHeaderMax + len(w.said().pong)
	}
	if w.pingOwed {
		bytes += webHeaderMax
	}
	return bytes
}

// Size returns the measured size.
func (w *webSocket) Size() int64 { return webSize }

// Drop does nothing.
func (w *webSocket) Drop() {}

// Blame puts the peer's mistake into the Close frame.
func (w *webSocket) Blame(err error) bool {
	var web *webError
	if errors.As(err, &web) {
		w.closeCode, w.talks().why, w.skipping = web.code, web.text, true
		return true
	}
	return false
}

// cut reports whether no Close frame can be sent, because a message was given up in the
// middle.
func (w *webSocket) cut() bool { return w.writeLeft > 0 && !w.closed }

// overlook reports whether an error is a breach of this protocol. What follows one is dropped.
func (w *webSocket) overlook(err error) bool {
	var web *webError
	return errors.As(err, &web)
}

// ask decides whether the next Seal sends a ping.
func (w *webSocket) ask(owed bool) { w.pingOwed = owed }

// asks reports whether a ping is still to be sent.
func (w *webSocket) asks() bool { return w.pingOwed }

// say sets the content of the Close frame, unless it is set already.
func (w *webSocket) say(code webCode, why string) {
	if w.closeCode == 0 && !w.noCode {
		w.closeCode = code
		if why != "" {
			w.talks().why = why
		}
	}
}

// begun returns how many bytes the message that is partly written still takes.
func (w *webSocket) begun() uint64 { return w.writeLeft }

// heard returns what the peer has said at its end; closed reports whether it has.
func (w *webSocket) heard() (code webCode, why string, closed bool) {
	return w.peerCode, w.said().peerWhy, w.peerClosed
}
