// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/zlink/zlink/core/endpoint"
)

// dialWeb asks for a WebSocket and checks the answer. deflates: messages may be compressed.
func dialWeb(r *headReader, conn io.Writer, t *Transport) (deflates bool, err error) {
	ep, offer := t.Endpoint, ""
	if t.Deflate {
		offer = "Sec-WebSocket-Extensions: " + deflateTerms + "\r\n"
	}
	var random [16]byte
	_, _ = rand.Read(random[:])
	key := base64.StdEncoding.EncodeToString(random[:])
	_, err = io.WriteString(conn, "GET "+ep.Path+" HTTP/1.1\r\nHost: "+hostField(ep)+"\r\n"+
		"Upgrade: websocket\r\nConnection: Upgrade\r\n"+versionField+"Sec-WebSocket-Key: "+key+"\r\n"+offer+"\r\n")
	if err != nil {
		return false, err
	}
	var why *refusal
	if deflates, err = takeAnswer(r, key, t.Deflate); errors.As(err, &why) {
		return false, &webError{text: why.text}
	}
	return deflates, err
}

// hostField returns the value of Host. It leaves out the transport's default port.
func hostField(ep endpoint.Endpoint) string {
	host, _, _ := strings.Cut(ep.Host, "%") // a zone has a meaning on this system only
	if ep.Port != ep.Scheme.DefaultPort {
		return net.JoinHostPort(host, strconv.Itoa(int(ep.Port)))
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// takeAnswer reads answers up to the last one, and checks that one (RFC 6455, 4.1).
func takeAnswer(r *headReader, key string, offered bool) (deflates bool, err error) {
	for {
		h, err := r.next()
		if err != nil {
			return false, err
		}
		status, err := readStatusLine(h.first)
		switch {
		case err != nil:
			return false, err
		case status == statusSwitchingProtocols:
			return h.checkAnswer(key, offered)
		case status >= 200:
			return false, &webError{status: status, text: fmt.Sprintf("the server answered %s", h.first[len("HTTP/1.1 "):])}
		}
	}
}

// readStatusLine parses the first line of an answer (RFC 9112, 4).
func readStatusLine(line string) (status int, err error) {
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	major, minor, ok := readVersion(version)
	status, err = strconv.Atoi(code)
	switch {
	case !ok || err != nil || len(code) != 3 || status < 100:
		return 0, bad("the answer is not HTTP")
	case major != 1 || minor == 0 && status < 200:
		return 0, bad("the answer is of another version than HTTP/1.1")
	}
	return status, nil
}

// checkAnswer checks the fields of an answer with status 101. offered: compression was.
func (h *head) checkAnswer(key string, offered bool) (deflates bool, err error) {
	upgrade, others := h.lists("Upgrade", "websocket")
	connection, _ := h.lists("Connection", "upgrade")
	accept, n := h.one("Sec-WebSocket-Accept")
	switch {
	case !upgrade || others:
		return false, bad("the answer's field Upgrade is not websocket")
	case !connection:
		return false, bad("the answer's field Connection does not tell of the upgrade")
	case n != 1 || accept != keyAnswer(key):
		return false, bad("the answer's field Sec-WebSocket-Accept does not fit the key")
	}
	if offered {
		if deflates, err = agreesToDeflate(h); err != nil {
			return false, err
		}
	}
	for _, name := range []string{"Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"} {
		for range h.list(name) {
			if !deflates || name == "Sec-WebSocket-Protocol" {
				return false, bad("the answer's field %s names what was not asked for", name)
			}
		}
	}
	return deflates, nil
}
