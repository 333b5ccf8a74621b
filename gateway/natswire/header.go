// SPDX-License-Identifier: MPL-2.0

package natswire

import (
	"bytes"
	"strings"
)

const headerStart = "NATS/1.0"

// Header returns a block of headers: pairs of a name and a value. A pair without a value is left out.
func Header(pairs ...string) string {
	var b strings.Builder
	b.WriteString(headerStart + "\r\n")
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			b.WriteString(pairs[i] + ": " + pairs[i+1] + "\r\n")
		}
	}
	b.WriteString("\r\n")
	return b.String()
}

// Value returns the first value of a header, which may be empty, or nil: there is no such header.
func (m *Msg) Value(name string) []byte {
	lines := m.Header
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\r\n"))
		if len(line) > len(name) && line[len(name)] == ':' && string(line[:len(name)]) == name {
			if value := bytes.TrimSpace(line[len(name)+1:]); value != nil {
				return value
			}
			return line[:0]
		}
	}
	return nil
}

// Status returns the number that NATS puts into messages of its own, such as "503", or "".
func (m *Msg) Status() string {
	rest, is := bytes.CutPrefix(m.Header, []byte(headerStart+" "))
	if !is || len(rest) < 3 {
		return ""
	}
	return string(rest[:3])
}

// WellFormed reports whether the headers are what NATS says that they are; no headers are.
func (m *Msg) WellFormed() bool {
	if len(m.Header) == 0 {
		return true
	}
	rest, is := bytes.CutPrefix(m.Header, []byte(headerStart))
	if !is || !bytes.HasSuffix(rest, []byte("\r\n\r\n")) && string(rest) != "\r\n" {
		return false
	}
	_, rest, _ = bytes.Cut(rest, []byte("\r\n")) // a status
	for line := range bytes.SplitSeq(rest, []byte("\r\n")) {
		if len(line) > 0 && bytes.IndexByte(line, ':') <= 0 {
			return false
		}
	}
	return true
}
