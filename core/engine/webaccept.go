// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// webVersion is the WebSocket version of RFC 6455.
const webVersion = "13"

// webGUID is hashed with the key to answer it (RFC 6455, 1.3).
const webGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Fields of answers that say what this side understands.
const (
	allowField   = "Allow: GET, HEAD\r\n"
	upgradeField = "Upgrade: websocket\r\n"
	versionField = "Sec-WebSocket-Version: " + webVersion + "\r\n"
)

// acceptWeb reads a request for a path, and answers it. n gets what is kept of it. deflates:
// messages may be compressed. ask, unless it is nil, decides about a request that would be granted.
func acceptWeb(r *headReader, conn io.Writer, t *Transport, n *notes, ask asking) (deflates bool, err error) {
	var h head
	h, err = r.next()
	var key string
	var req requestLine
	if err == nil {
		req, err = readRequestLine(h.first)
	}
	if err == nil {
		key, err = checkRequest(&h, req, t)
	}
	protocol := t.Web.choose(&h)
	if err == nil {
		err = noteRequest(n, &h, req, protocol)
	}
	if err == nil && ask != nil {
		protocol, err = granted(ask, &h, protocol)
	}
	var why *refusal
	switch {
	case errors.As(err, &why):
		_, _ = conn.Write(why.answer(req.method == "HEAD"))
		if why.status == statusOK || t.drains.Load() && t.Web.healthy(req.path) {
			return false, errProbe
		}
		return false, why.failure()
	case err != nil:
		return false, err
	}
	if protocol != "" {
		protocol = "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	extension := ""
	if terms := deflateAnswer(&h); t.Deflate && terms != "" {
		extension, deflates = "Sec-WebSocket-Extensions: "+terms+"\r\n", true
	}
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "+keyAnswer(key)+"\r\n"+protocol+extension+"\r\n")
	return deflates, err
}

// granted has the application decide. It returns the subprotocol, which is the given one unless the
// application has chosen another, or a refusal, or the error of an aborted handshake.
func granted(ask asking, h *head, protocol string) (string, error) {
	d, err := ask(true, slices.Collect(h.list("Sec-WebSocket-Protocol")))
	switch {
	case err != nil:
		return "", err
	case d.Why != CauseUnknown:
		return "", &refusal{status: d.Status, text: d.Text, cause: d.Why, decided: true}
	case !d.Chosen:
		return protocol, nil
	}
	return d.Protocol, nil
}

// answer returns the whole answer to a refused request; the connection ends with it. The
// answer to HEAD has no body.
func (r *refusal) answer(head bool) []byte {
	body := r.text + "\n"
	connection := "close"
	if strings.Contains(r.fields, upgradeField) {
		connection = "close, Upgrade"
	}
	out := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: %s\r\n%s"+
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n", r.status, phraseOf(r.status),
		time.Now().UTC().Format(httpTime), connection, r.fields, len(body))
	if head {
		return out
	}
	return append(out, body...)
}

// failure returns the error of a refused request.
func (r *refusal) failure() error {
	failed := &webError{text: fmt.Sprintf("a request was answered %d: %s", r.status, r.text), cause: r.cause}
	if r.decided {
		failed.status = r.status
	}
	return failed
}

// requestLine is the parsed first line of a request.
type requestLine struct {
	method string
	path   string // without a query; "*" and the target of CONNECT are not paths
	query  string // behind the first ?
	asks   bool   // there is a ?
	host   string // of a target in absolute form
	old    bool   // HTTP/1.0
}

// readRequestLine parses a request's first line (RFC 9112, 3).
func readRequestLine(line string) (r requestLine, err error) {
	method, rest, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !isToken(method) {
		return r, bad("the first line is no request of HTTP")
	}
	major, minor, ok := readVersion(version)
	if !ok {
		return r, bad("the first line has no version of HTTP")
	}
	r.method, r.old = method, minor == 0
	if major != 1 {
		return r, &refusal{status: statusHTTPVersionNotSupported, text: "only HTTP/1.1 is understood here"}
	}
	if !validTarget(target) {
		return r, bad("the target has a character that is not of targets")
	}
	return r, r.readTarget(target)
}

// validTarget reports whether all characters of a target are such of one.
func validTarget(target string) bool {
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7F || c == '#' {
			return false
		}
	}
	return true
}

// readVersion parses a version such as "HTTP/1.1".
func readVersion(text string) (major, minor int, ok bool) {
	digit := func(i int) bool { return text[i] >= '0' && text[i] <= '9' }
	if len(text) != len("HTTP/1.1") || text[:5] != "HTTP/" || !digit(5) || text[6] != '.' || !digit(7) {
		return 0, 0, false
	}
	return int(text[5] - '0'), int(text[7] - '0'), true
}

// readTarget parses the target of a request in its four forms (RFC 9112, 3.2).
func (r *requestLine) readTarget(target string) error {
	if target == "*" || r.method == "CONNECT" {
		r.path = target
		return nil
	}
	if !strings.HasPrefix(target, "/") {
		scheme, rest, ok := strings.Cut(target, "://")
		switch scheme = strings.ToLower(scheme); {
		case !ok, scheme != "http" && scheme != "https" && scheme != "ws" && scheme != "wss":
			return bad("the target is neither a path nor a URL of HTTP")
		}
		end := strings.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if r.host = rest[:end]; !validHost(r.host) || r.host == "" || r.host[0] == ':' {
			return bad("the target's host is none")
		}
		if target = rest[end:]; !strings.HasPrefix(target, "/") {
			target = "/" + target
		}
	}
	r.path, r.query, r.asks = strings.Cut(target, "?")
	return nil
}

// validHost reports whether text may be the value of Host: host and port, or nothing. A
// host with escapes is not valid.
func validHost(text string) bool {
	var port string
	if strings.HasPrefix(text, "[") {
		address, behind, ok := strings.Cut(text[1:], "]")
		ip, err := netip.ParseAddr(address)
		if !ok || err != nil || !ip.Is6() || ip.Zone() != "" || behind != "" && behind[0] != ':' {
			return false
		}
		port = strings.TrimPrefix(behind, ":")
	} else {
		host, behind, _ := strings.Cut(text, ":")
		for i := range len(host) {
			if !isToken(host[i:i+1]) && !strings.Contains("(),;=", host[i:i+1]) || strings.Contains("#%^`|", host[i:i+1]) {
				return false
			}
		}
		port = behind
	}
	return strings.Trim(port, "0123456789") == ""
}

// checkRequest checks that a request asks for a WebSocket at the path, and returns its key.
// It refuses anything that others could understand differently.
func checkRequest(h *head, req requestLine, t *Transport) (key string, err error) {
	if err := checkHost(h, req); err != nil {
		return "", err
	}
	if err := checkLength(h); err != nil {
		return "", err
	}
	switch {
	case req.method != "GET" && req.method != "HEAD":
		return "", &refusal{status: statusMethodNotAllowed, fields: allowField, text: "only GET and HEAD are understood here"}
	case t.drains.Load():
		return "", &refusal{status: statusServiceUnavailable, text: "the server goes out of service", cause: CauseDrained}
	case t.Web.healthy(req.path) && !h.asksForWeb():
		return "", &refusal{status: statusOK, text: "ok"}
	case req.path != t.Endpoint.Path && !t.Web.takes(req.path):
		return "", &refusal{status: statusNotFound, text: "there is no WebSocket at this path"}
	case h.count("Transfer-Encoding") > 0 || hasBody(h):
		return "", bad("the request has a body")
	case req.old || req.method == "HEAD" || !h.asksForWeb():
		return "", &refusal{status: statusUpgradeRequired, fields: upgradeField + versionField,
			text: "this is a WebSocket, which takes an upgrade of HTTP/1.1"}
	}
	if key, err = h.checkUpgrade(); err == nil {
		err = checkOrigin(h, t.Web.origins(), t.Properties)
	}
	return key, err
}

// asksForWeb reports whether a request concerns WebSocket.
func (h *head) asksForWeb() bool {
	upgrade, _ := h.lists("Upgrade", "websocket")
	return upgrade || h.count("Sec-WebSocket-Key") > 0 || h.count("Sec-WebSocket-Version") > 0
}

// checkHost checks the field Host (RFC 9112, 3.2).
func checkHost(h *head, req requestLine) error {
	host, n := h.one("Host")
	switch {
	case n > 1:
		return bad("the field Host is there more than once")
	case n == 0 && !req.old:
		return bad("the field Host is missing")
	case !validHost(host):
		return bad("the field Host has something else than a host and a port")
	}
	return nil
}

// checkLength checks the length of a body (RFC 9112, 6).
func checkLength(h *head) error {
	length, n := h.one("Content-Length")
	switch {
	case n > 1:
		return bad("the field Content-Length is there more than once")
	case n == 1 && (length == "" || strings.Trim(length, "0123456789") != ""):
		return bad("the field Content-Length has something else than a number")
	case n == 1 && h.count("Transfer-Encoding") > 0:
		return bad("the fields Content-Length and Transfer-Encoding are both there")
	}
	return nil
}

// hasBody reports whether Content-Length announces a body.
func hasBody(h *head) bool {
	length, _ := h.one("Content-Length")
	return strings.Trim(length, "0") != ""
}

// checkUpgrade checks the fields of an upgrade (RFC 6455, 4.2.1), and returns its key.
func (h *head) checkUpgrade() (key string, err error) {
	if upgrade, _ := h.lists("Upgrade", "websocket"); !upgrade {
		return "", bad("the field Upgrade does not ask for websocket; a proxy must pass it on")
	}
	if upgrade, _ := h.lists("Connection", "upgrade"); !upgrade {
		return "", bad("the field Connection does not ask for the upgrade; a proxy must pass it on")
	}
	version, n := h.one("Sec-WebSocket-Version")
	switch {
	case n != 1:
		return "", bad("the field Sec-WebSocket-Version is missing, or there more than once")
	case version != webVersion:
		return "", &refusal{status: statusUpgradeRequired, fields: upgradeField + versionField,
			text: "only version 13 of WebSocket is understood here"}
	}
	key, n = h.one("Sec-WebSocket-Key")
	if n != 1 {
		return "", bad("the field Sec-WebSocket-Key is missing, or there more than once")
	}
	if bytes, err := base64.StdEncoding.DecodeString(key); err != nil || len(bytes) != 16 {
		return "", bad("the field Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return key, nil
}

// keyAnswer returns the value of Sec-WebSocket-Accept (RFC 6455, 4.2.2).
func keyAnswer(key string) string {
	sum := sha1.Sum([]byte(key + webGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}
