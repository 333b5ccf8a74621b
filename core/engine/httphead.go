// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"fmt"
	"io"
	"iter"
)

// firstHeadBuffer is the size in bytes of the buffer that a head begins in. The buffer
// doubles as the head grows.
const firstHeadBuffer = 1 << 10

// refusal is the reason why an HTTP message is refused, with the status of the answer if
// the message is a request.
type refusal struct {
	status  int
	fields  string // more fields of the answer, whole lines
	text    string
	cause   Cause // of the end; CauseUnknown: CauseHandshake
	decided bool  // by the application: monitors get the status
}

func (r *refusal) Error() string { return r.text }

func bad(format string, a ...any) error {
	return &refusal{status: statusBadRequest, text: fmt.Sprintf(format, a...)}
}

// headReader reads the heads of HTTP messages (RFC 9112), and keeps what came behind the
// last one. It reads no more than max bytes for all heads. It checks each byte at once, so
// that a peer that sends something else is refused at once.
type headReader struct {
	conn    io.Reader
	max     int
	answers bool // the heads are answers, whose lines may be folded
	buf     []byte
	begin   int // of the head in buf
	line    int // start of the line being read
	seen    int // bytes that were checked
}

// next returns the next head, without its empty line. The head is valid until behind is
// called. An error is the connection's own, or a *refusal.
func (r *headReader) next() (head, error) {
	r.begin, r.line = r.seen, r.seen
	for {
		over, err := r.scan()
		if err != nil {
			return head{}, err
		}
		if over {
			return parseHead(r.buf[r.begin:r.line], r.answers)
		}
		if err := r.fill(); err != nil {
			return head{}, err
		}
	}
}

// scan checks the new bytes; over: the head's empty line is there.
func (r *headReader) scan() (over bool, err error) {
	for ; r.seen < len(r.buf); r.seen++ {
		c := r.buf[r.seen]
		afterCR := r.seen > r.line && r.buf[r.seen-1] == '\r'
		switch {
		case c == '\n' && !afterCR:
			return false, bad("a line of the head ends with LF alone")
		case c != '\n' && afterCR:
			return false, bad("a CR that ends no line")
		case c != '\n' && c != '\r' && !inField(c):
			return false, bad("the head has a byte %#02x", c)
		case c != '\n':
			continue
		}
		empty := r.seen-r.line == 1
		if empty && r.line > r.begin {
			r.seen++
			return true, nil
		}
		if r.line = r.seen + 1; empty { // in front of the first line (RFC 9112, 2.2)
			r.begin = r.line
		}
	}
	return false, nil
}

// fill reads once.
func (r *headReader) fill() error {
	if len(r.buf) >= r.max {
		status := statusRequestHeaderFieldsTooLarge
		if r.line == r.begin {
			status = statusURITooLong
		}
		return &refusal{status: status, text: fmt.Sprintf("the head is longer than %d bytes (STREAM_HEADER_MAX)", r.max)}
	}
	if len(r.buf) == cap(r.buf) {
		grown := make([]byte, len(r.buf), min(r.max, max(firstHeadBuffer, 2*cap(r.buf))))
		copy(grown, r.buf)
		r.buf = grown
	}
	n, err := r.conn.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// behind returns a copy of what came behind the last head.
func (r *headReader) behind() []byte {
	if r.seen == len(r.buf) {
		return nil
	}
	return bytes.Clone(r.buf[r.seen:])
}

// head is the first part of an HTTP message: its first line, and lines of fields.
type head struct {
	first  string
	fields []byte // each line ends with CR LF
}

// parseHead checks the lines of a head. It unfolds a folded line (RFC 9112, 5.2) in an
// answer, and refuses one in a request.
func parseHead(raw []byte, answer bool) (head, error) {
	first, fields, _ := bytes.Cut(raw, []byte("\r\n"))
	h := head{first: string(first), fields: fields}
	for rest, inFront := fields, false; len(rest) > 0; inFront = true {
		line, behind, _ := bytes.Cut(rest, []byte("\r\n"))
		if len(line) == 0 {
			return head{}, bad("a line of the head is empty")
		}
		if line[0] == ' ' || line[0] == '\t' {
			if !answer || !inFront {
				return head{}, bad("a line of the head is folded, or begins with a blank")
			}
			at := len(fields) - len(rest)
			fields[at-2], fields[at-1] = ' ', ' '
			rest = behind
			continue
		}
		name, _, found := bytes.Cut(line, []byte(":"))
		if !found || !isToken(name) {
			return head{}, bad("a field's name is followed by something else than a colon, or has characters that are not of names")
		}
		rest = behind
	}
	return h, nil
}

// all returns the values of the fields with a name, in order and without surrounding blanks.
func (h *head) all(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := h.fields; len(rest) > 0; {
			line, behind, _ := bytes.Cut(rest, []byte("\r\n"))
			rest = behind
			is, value, _ := bytes.Cut(line, []byte(":"))
			if bytes.EqualFold(is, []byte(name)) && !yield(string(bytes.Trim(value, " \t"))) {
				return
			}
		}
	}
}

// count returns how many fields have a name.
func (h *head) count(name string) (n int) {
	for range h.all(name) {
		n++
	}
	return n
}

// one returns the value of a field that may occur once; n is how often it occurs.
func (h *head) one(name string) (value string, n int) {
	for v := range h.all(name) {
		value = v
		n++
	}
	return value, n
}

// list returns the elements of a list field, over all its lines (RFC 9110, 5.3 and 5.6.1).
// It does not understand quoted elements; the fields that callers ask for have none.
func (h *head) list(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for value := range h.all(name) {
			for element := range bytes.SplitSeq([]byte(value), []byte(",")) {
				if element = bytes.Trim(element, " \t"); len(element) > 0 && !yield(string(element)) {
					return
				}
			}
		}
	}
}

// lists reports whether an element of a list equals the token, in any case; others reports
// whether the list has other elements.
func (h *head) lists(name, token string) (found, others bool) {
	for element := range h.list(name) {
		if bytes.EqualFold([]byte(element), []byte(token)) {
			found = true
		} else {
			others = true
		}
	}
	return found, others
}

// inField reports whether a byte may stand in a line: visible, a blank, or not ASCII.
func inField(c byte) bool { return c >= ' ' && c != 0x7F || c == '\t' }

// isToken reports whether text is a token (RFC 9110, 5.6.2).
func isToken[T string | []byte](text T) bool {
	for i := range len(text) {
		c := text[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) < 0 {
			return false
		}
	}
	return len(text) > 0
}
