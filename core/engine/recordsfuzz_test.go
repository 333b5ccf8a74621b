// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
)

// script reads what a fuzzer chose. At its end it reads zeros.
type script []byte

func (s *script) byte() byte {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return b
}

func (s *script) bytes(n int) []byte {
	part := make([]byte, n)
	copy(part, *s)
	*s = (*s)[min(n, len(*s)):]
	return part
}

// size is a length that is often one of those where something changes.
func (s *script) size() int {
	edges := [...]int{0, 1, recordMost - 1, recordMost, recordMost + 1, recordSize - recordRoom, recordSize - recordRoom + 1}
	if kind := int(s.byte()); kind < len(edges) {
		return edges[kind]
	} else if kind < 128 {
		return kind
	}
	return int(s.byte())<<6 | int(s.byte())
}

// scripted is a peer that writes records by a script, and knows what RFC 8446 has for them.
type scripted struct {
	tlsPeer
	client  bool   // the side that is tested
	wire    []byte // what it writes
	data    []byte // what arrives of that
	message []byte // of a handshake, as far as it has come
	answers int    // changes of keys that it has asked for
	alert   int    // that it gets; -1: none
	over    bool   // nothing more counts
	closed  bool   // by its close_notify
}

func (p *scripted) fails(alert int) { p.alert, p.over = alert, true }

// send writes a record, and counts what it means. inner is its content, kind and padding.
func (p *scripted) send(kind byte, content []byte, padding int) {
	inner := append(append(bytes.Clone(content), kind), make([]byte, padding)...)
	p.wire = append(p.wire, p.record(inner[len(inner)-1], inner[:len(inner)-1])...)
	switch {
	case p.over:
	case len(inner)+sealedTail-1 > recordMost+256, len(inner) > recordMost+1:
		p.fails(alertRecordOverflow)
	case kind == 0 && len(bytes.Trim(content, "\x00")) > 0: // the last byte that is not 0 is the kind
		content = bytes.TrimRight(content, "\x00")
		p.means(content[len(content)-1], content[:len(content)-1])
	default:
		p.means(kind, content)
	}
}

func (p *scripted) means(kind byte, content []byte) {
	switch {
	case kind == recordHandshake && len(content) > 0:
		p.handshake(content)
	case kind == recordData && len(p.message) == 0:
		p.data = append(p.data, content...)
	case kind == recordAlert && len(p.message) == 0 && len(content) > 0:
		if len(content) != 2 {
			p.fails(alertDecodeError)
		}
		p.closed = p.alert < 0 && content[1] == alertCloseNotify
		p.over = p.over || content[1] != alertUserCanceled
	default:
		p.fails(alertUnexpectedMessage)
	}
}

func (p *scripted) handshake(content []byte) {
	p.message = append(p.message, content...)
	for m := p.message; len(m) >= messageHead && !p.over; m = p.message {
		size := int(m[1])<<16 | int(m[2])<<8 | int(m[3])
		switch whole := len(m) >= messageHead+size; {
		case m[0] == messageTicket && p.client && !whole:
			return
		case m[0] == messageTicket && p.client:
			p.message = m[messageHead+size:]
		case m[0] != messageKeyUpdate:
			p.fails(alertUnexpectedMessage)
		case size != 1:
			p.fails(alertDecodeError)
		case !whole:
			return
		case len(m) > messageHead+size:
			p.fails(alertUnexpectedMessage)
		case m[messageHead] > 1:
			p.fails(alertIllegalParameter)
		default:
			p.answers += int(m[messageHead])
			p.message = nil
			p.rekey(expand(p.secret, "traffic upd", 32))
		}
	}
}

// play writes records until the script is over.
func (p *scripted) play(s *script) {
	for len(*s) > 0 && len(p.wire) < 48<<10 {
		switch s.byte() % 10 {
		case 0, 1:
			p.send(recordData, bytes.Repeat([]byte{s.byte()}, s.size()), 0)
		case 2:
			p.send(recordData, bytes.Repeat([]byte{s.byte()}, s.size()), s.size())
		case 3:
			p.send(recordHandshake, []byte{messageKeyUpdate, 0, 0, 1, s.byte() % 4}, int(s.byte()))
		case 4:
			p.send(recordHandshake, s.bytes(int(s.byte()%8)), 0)
		case 5:
			size := s.size()
			p.send(recordHandshake, append([]byte{messageTicket, 0, byte(size >> 8), byte(size)}, make([]byte, min(size, s.size(), recordMost-messageHead))...), 0)
		case 6:
			p.send(recordAlert, s.bytes(int(s.byte()%4)), int(s.byte()))
		case 7:
			p.send(s.byte(), s.bytes(int(s.byte()%8)), s.size())
		case 8:
			p.send(recordData, s.bytes(int(s.byte())), 0)
		default:
			p.spoil(s)
		}
	}
}

// spoil sends what is not a record of this connection.
func (p *scripted) spoil(s *script) {
	kind, size := s.byte(), s.size()
	p.wire = append(append(p.wire, kind, 3, 3, byte(size>>8), byte(size)), make([]byte, size)...)
	switch {
	case p.over:
	case size > recordSize-recordHead:
		p.fails(alertRecordOverflow)
	case kind != recordData:
		p.fails(alertUnexpectedMessage)
	default:
		p.fails(alertBadRecordMAC)
	}
}

// FuzzRecords: whatever records come, in any pieces, and read in any pieces, the stream and the alert
// are those of RFC 8446.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("\x00a\x20\x03\x01\x10\x02b\x03\x02\x08\x05hello\x06\x02\x01\x00\x00"), uint8(7), uint8(100), false)
	f.Add([]byte("\x05\x20\x20\x00c\x04\x03\x01\x00\x04\x03\x18\x00\x00\x04\x02\x01\x01"), uint8(200), uint8(3), true)
	f.Add([]byte("\x00a\x05\x09\x17\x05"), uint8(255), uint8(255), false)
	suite := tlsSuites[tls.TLS_AES_128_GCM_SHA256]
	theirs, ours := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	f.Fuzz(func(t *testing.T, how []byte, step, room uint8, client bool) {
		p := &scripted{client: client, alert: -1}
		p.rekey(theirs)
		_ = p.in.start(suite, ours)
		p.play((*script)(&how))

		l := &link{conn: &Conn{shard: &Shard{}}, wire: descriptor{drained: true}}
		r := &records{below: Level{l, -1}, client: client}
		defer r.Drop()
		if r.in.start(suite, theirs) != nil || r.out.start(suite, ours) != nil {
			t.Fatal("no keys")
		}
		var got, sealed []byte
		var err error
		for wire := p.wire; err == nil || err == errAgain; {
			if err == errAgain && l.wire.rest == 0 {
				if len(wire) == 0 {
					break
				}
				n := min(len(wire), 1+int(step)*int(step))
				l.unread, wire = bytes.Clone(wire[:n]), wire[n:]
			}
			r.rekeys, l.wire.rest, l.wire.turn = rekeys{}, 0, readTurn
			buf := make([]byte, 1+int(room)*int(room))
			var n int
			n, err = r.Decode(Level{l, -1}, buf)
			got = append(got, buf[:n]...)
			sealed = r.Seal(sealed, Source{given: new([]byte)})
			if r.kept.ChainLen() > recordsInput || r.Owes() > 0 {
				t.Fatal("it keeps more than it may")
			}
		}
		if !bytes.Equal(got, p.data) {
			t.Fatalf("%d bytes of the stream, not %d", len(got), len(p.data))
		}
		if p.over == (err == errAgain) || p.closed != (err == io.EOF) {
			t.Fatalf("it is over %v, closed %v, and ends with %v", p.over, p.closed, err)
		}
		p.check(t, sealed)
	})
}

// check opens what was sealed: answers to changes of keys, and the alert.
func (p *scripted) check(t *testing.T, sealed []byte) {
	answers, alert := 0, -1
	for len(sealed) > 0 {
		record, _ := wholeRecord(sealed)
		if record == nil {
			t.Fatal("no whole record was sealed")
		}
		kind, content, ok := p.in.open(record, nil)
		switch {
		case !ok || alert >= 0:
			t.Fatal("a record is not authentic, or behind an alert")
		case kind == recordHandshake && string(content) == "\x18\x00\x00\x01\x00":
			answers++
			_ = p.in.change()
		case kind == recordAlert && content[0] == 2:
			alert = int(content[1])
		default:
			t.Fatalf("kind %d: %x", kind, content)
		}
		sealed = sealed[len(record):]
	}
	if answers != p.answers || alert != p.alert {
		t.Fatalf("%d answers and the alert %d, not %d and %d", answers, alert, p.answers, p.alert)
	}
}
