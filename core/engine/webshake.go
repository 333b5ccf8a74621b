// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gobwas/ws"

	"github.com/zlink/zlink/core/endpoint"
)

// headerMax is the longest head of a WebSocket request or response, in bytes.
const headerMax = 8 << 10

// webError is a breach of the WebSocket protocol; Code is what the peer is told
// in a Close frame, 0 during the handshake.
type webError struct {
	code ws.StatusCode
	text string
}

func (e *webError) Error() string { return "websocket: " + e.text }

// upgrade does the WebSocket handshake (RFC 6455, 4). early is what came behind
// it. The errors are the connection's own and *webError.
func upgrade(conn io.ReadWriter, ep endpoint.Endpoint, dialled bool) (w *webSocket, early []byte, err error) {
	head := &headReader{conn: conn, request: !dialled}
	rw := struct {
		io.Reader
		io.Writer
	}{head, conn}
	if dialled {
		err = dialWeb(rw, ep)
	} else {
		err = acceptWeb(rw, ep)
	}
	switch {
	case head.err != nil: // the library's error is only its consequence
		return nil, nil, head.err
	case err != nil:
		return nil, nil, &webError{text: err.Error()}
	}
	return &webSocket{client: dialled}, head.behind(), nil
}

func acceptWeb(rw io.ReadWriter, ep endpoint.Endpoint) error {
	upgrader := ws.Upgrader{
		ReadBufferSize: headerMax,
		OnRequest: func(uri []byte) error {
			if path, _, _ := strings.Cut(string(uri), "?"); path != ep.Path {
				return ws.RejectConnectionError(ws.RejectionStatus(http.StatusNotFound),
					ws.RejectionReason(fmt.Sprintf("there is no WebSocket at %q", path)))
			}
			return nil
		},
	}
	_, err := upgrader.Upgrade(rw)
	return err
}

func dialWeb(rw io.ReadWriter, ep endpoint.Endpoint) error {
	path, query, _ := strings.Cut(ep.Path, "?")
	at := ep
	at.Path = ""
	to := &url.URL{Scheme: string(ep.Transport), Host: strings.TrimPrefix(at.String(), string(ep.Transport)+"://"),
		Path: path, RawPath: path, RawQuery: query}
	dialer := ws.Dialer{ReadBufferSize: headerMax}
	_, _, err := dialer.Upgrade(rw, to)
	return err
}

// headReader reads a request's or response's head and nothing behind it.
type headReader struct {
	conn    io.ReadWriter
	request bool // a refused one gets an answer
	buf     []byte
	given   int   // bytes of buf that were read
	end     int   // of the head in buf; 0: not there yet
	err     error // why the head did not come
}

var headEnd = []byte("\r\n\r\n")

func (h *headReader) Read(p []byte) (int, error) {
	for h.end == 0 || h.given == h.end {
		if h.end > 0 {
			return 0, io.EOF
		}
		if h.given < len(h.buf) {
			break
		}
		if h.err = h.fill(); h.err != nil {
			return 0, h.err
		}
	}
	end := len(h.buf)
	if h.end > 0 {
		end = h.end
	}
	n := copy(p, h.buf[h.given:end])
	h.given += n
	return n, nil
}

// fill reads once.
func (h *headReader) fill() error {
	if h.buf == nil {
		h.buf = make([]byte, 0, 1<<10)
	}
	if len(h.buf) >= headerMax {
		h.refuse("431 Request Header Fields Too Large")
		return &webError{text: fmt.Sprintf("the head is longer than %d bytes", headerMax)}
	}
	if len(h.buf) == cap(h.buf) {
		grown := make([]byte, len(h.buf), headerMax)
		copy(grown, h.buf)
		h.buf = grown
	}
	n, err := h.conn.Read(h.buf[len(h.buf):cap(h.buf)])
	from := max(0, len(h.buf)-len(headEnd)+1)
	h.buf = h.buf[:len(h.buf)+n]
	if i := bytes.Index(h.buf[from:], headEnd); i >= 0 {
		h.end = from + i + len(headEnd)
	}
	if h.bareLF(from) {
		h.refuse("400 Bad Request")
		return &webError{text: "a line of the head ends with LF alone"}
	}
	if n > 0 {
		return nil
	}
	return err
}

// bareLF tells whether a line of the head, from a place in buf on, ends without CR.
// Others take that for an end (RFC 9112, 2.2), so it could hide what comes behind it.
func (h *headReader) bareLF(from int) bool {
	head := h.buf
	if h.end > 0 {
		head = h.buf[:h.end]
	}
	for i := from; i < len(head); i++ {
		if head[i] == '\n' && (i == 0 || head[i-1] != '\r') {
			return true
		}
	}
	return false
}

func (h *headReader) refuse(status string) {
	if h.request {
		_, _ = io.WriteString(h.conn, "HTTP/1.1 "+status+"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	}
}

// behind returns what came behind the head.
func (h *headReader) behind() []byte {
	if h.end == 0 || h.end == len(h.buf) {
		return nil
	}
	return h.buf[h.end:]
}
