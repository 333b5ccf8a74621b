// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"io"

	"github.com/gobwas/ws"
)

// webError is a breach of the WebSocket protocol, or of HTTP before it.
type webError struct {
	code   ws.StatusCode // that the peer is told in a Close frame; 0 during the handshake
	status int           // of HTTP, that a server refused the upgrade with; 0: none
	text   string
}

func webBreach(code ws.StatusCode, text string) error { return &webError{code: code, text: text} }

func (e *webError) Error() string { return "websocket: " + e.text }

// upgrade does the WebSocket handshake (RFC 6455, 4). early is what came behind
// it. The errors are the connection's own and *webError.
func upgrade(conn io.ReadWriter, t *Transport, dialled bool) (w *webSocket, early []byte, err error) {
	heads := &headReader{conn: conn, max: t.headerMax(), answers: dialled}
	if dialled {
		err = dialWeb(heads, conn, t.Endpoint)
	} else {
		err = acceptWeb(heads, conn, t.Endpoint.Path)
	}
	if err != nil {
		return nil, nil, err
	}
	return &webSocket{client: dialled}, heads.behind(), nil
}
