// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/tls"
	"io"
	"net"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// The records of TLS 1.3
//
// crypto/tls makes the handshake. For each connection it keeps 5 KB of what that needed, and a
// buffer that grows with the longest record to 40 KB and never shrinks. So its connection is
// dropped after a handshake of TLS 1.3, and the record protocol (RFC 8446, 5) is spoken here, with
// the secrets that the handshake has agreed on and the ciphers of Go's library. What a
// connection keeps is two keys. Input is decrypted from a buffer of the shard to where frames
// are looked for; only the start of a record whose rest has not come is kept.

// recordsInput is the size of the shard's buffer for input: the start of a record that was
// kept, and a turn.
const recordsInput = 80 << 10

// keysFor is the number of records that are sealed with the same keys; a test lowers it. RFC
// 8446, 5.5: AES-GCM is good for 2^24.5.
var keysFor uint64 = 1 << 24

// Alerts that this side sends (RFC 8446, 6).
const (
	alertCloseNotify       = 0
	alertUnexpectedMessage = 10
	alertBadRecordMAC      = 20
	alertRecordOverflow    = 22
	alertIllegalParameter  = 47
	alertDecodeError       = 50
	alertInternalError     = 80
	alertUserCanceled      = 90
)

// Messages of handshakes that come after them.
const (
	messageHead      = 4 // type and length
	messageTicket    = 4
	messageKeyUpdate = 24
)

// records is the layer of a connection of TLS 1.3 after its handshake.
type records struct {
	below   Level
	in, out tlsFlow
	rekeys  rekeys     // of the peer
	owed    []byte     // records that answer the peer, and the alert of an end
	kept    *shm.Chunk // a chain: content that had no room, then input that is not decrypted
	plain   int        // bytes of content in kept
	skip    int        // bytes of the peer's message that are still to be passed over
	message [messageHead + 1]byte
	have    uint8 // bytes of message
	client  bool
	mute    bool // nothing more is sealed
	err     error
	name    string // the subject of the peer's verified certificate
}

// Decode decrypts input. It returns with errAgain when a record is not complete.
func (t *records) Decode(below Level, buf []byte) (n int, err error) {
	switch {
	case t.err != nil:
		return 0, t.err
	case below.link.shaking != nil:
		return t.decodeOne(below, buf)
	}
	in, err := t.input(below, len(buf))
	if err != nil {
		return 0, err
	}
	used := min(t.plain, len(buf))
	n = copy(buf, in[:used])
	t.plain -= used
	for price := 0; err == nil && t.plain == 0 && n < len(buf) && price < readTurn; {
		record, ok := wholeRecord(in[used:])
		if !ok {
			err = t.fail(alertRecordOverflow)
		}
		if record == nil || err != nil {
			break
		}
		var content []byte
		content, err = t.take(record, buf[n:])
		used += len(record)
		moved := copy(buf[n:], content)
		n += moved
		if t.plain = len(content) - moved; t.plain > 0 {
			used -= t.plain
			copy(in[used:], content[moved:])
		}
		dear := max(0, recordPrice-len(content))
		price += dear
		t.below.Charge(dear)
	}
	return n, t.keep(in[used:], err)
}

// input returns what was kept, with new input behind it if it has no whole record. It is in
// a buffer of the shard. Only if there is an error, it is kept on.
func (t *records) input(below Level, room int) (in []byte, err error) {
	scratch := &below.link.conn.shard.scratch[below.at+1]
	if cap(*scratch) < recordsInput {
		*scratch = make([]byte, 0, recordsInput)
	}
	in = (*scratch)[:recordsInput]
	had := t.kept.CopyChain(in)
	if record, ok := wholeRecord(in[t.plain:had]); t.plain == 0 && record == nil && ok {
		n, err := below.Read(in[had:min(len(in), had+max(room, recordSize))])
		if n == 0 && err != nil {
			if err == io.EOF && had > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		had += n
	}
	t.Drop()
	return in[:had], nil
}

// keep keeps the rest of the input, unless the stream is over. It returns err, or that there
// is no memory.
func (t *records) keep(rest []byte, err error) error {
	if len(rest) == 0 || t.err != nil {
		return err
	}
	if t.kept = shm.NewPacked(rest); t.kept == nil {
		t.err = sys.ENOMEM
		return t.err
	}
	return err
}

// Drop frees what is kept.
func (t *records) Drop() {
	shm.FreeChain(t.kept)
	t.kept = nil
}

// decodeOne decrypts a record with content while the layers above shake hands. It
// reads no further, so nothing has to be kept.
func (t *records) decodeOne(below Level, buf []byte) (int, error) {
	for {
		record := make([]byte, recordHead)
		if _, err := io.ReadFull(below, record); err != nil {
			return 0, err
		}
		_, ok := wholeRecord(record)
		if !ok {
			return 0, t.fail(alertRecordOverflow)
		}
		record = append(record, make([]byte, int(record[3])<<8|int(record[4]))...)
		if _, err := io.ReadFull(below, record[recordHead:]); err == io.EOF {
			return 0, io.ErrUnexpectedEOF
		} else if err != nil {
			return 0, err
		}
		content, err := t.take(record, nil)
		if err != nil {
			return 0, err
		}
		if len(content) > 0 {
			n := copy(buf, content)
			Level{below.link, below.at + 1}.Unread(content[n:])
			return n, nil
		}
	}
}

// take opens a record, if it can into room, and returns its data.
func (t *records) take(record, room []byte) ([]byte, error) {
	if record[0] != recordData {
		return nil, t.fail(alertUnexpectedMessage)
	}
	kind, content, ok := t.in.open(record, room)
	switch {
	case !ok:
		return nil, t.fail(alertBadRecordMAC)
	case len(record) > recordRoom+recordMost: // padding counts, too
		return nil, t.fail(alertRecordOverflow)
	case kind == recordHandshake:
		if err := t.handshake(content); err != nil {
			return nil, err
		}
	case t.have > 0 || t.skip > 0: // a message of a handshake goes on
		return nil, t.fail(alertUnexpectedMessage)
	case kind == recordAlert:
		if err := t.alert(content); err != nil {
			return nil, err
		}
	case kind != recordData:
		return nil, t.fail(alertUnexpectedMessage)
	case len(content) > 0:
		t.rekeys.data(len(content))
		return content, nil
	}
	return nil, t.pay()
}

// handshake takes a part of the messages that may come after a handshake: changes of keys, and a
// server's tickets, which are not used.
func (t *records) handshake(part []byte) error {
	if len(part) == 0 {
		return t.fail(alertUnexpectedMessage)
	}
	for len(part) > 0 {
		if t.skip > 0 {
			n := min(t.skip, len(part))
			t.skip, part = t.skip-n, part[n:]
			continue
		}
		want := messageHead
		if t.have == messageHead { // a change of keys
			want++
		}
		n := copy(t.message[t.have:want], part)
		t.have, part = t.have+uint8(n), part[n:]
		switch m := &t.message; {
		case int(t.have) < want:
		case want > messageHead:
			t.have = 0
			if len(part) > 0 { // it would be read with the new keys
				return t.fail(alertUnexpectedMessage)
			}
			return t.change(m[messageHead])
		case m[0] == messageTicket && t.client:
			t.have, t.skip = 0, int(m[1])<<16|int(m[2])<<8|int(m[3])
		case m[0] != messageKeyUpdate:
			return t.fail(alertUnexpectedMessage)
		case m[1] != 0 || m[2] != 0 || m[3] != 1:
			return t.fail(alertDecodeError)
		}
	}
	return nil
}

// change goes on with the peer's next keys, and with the next ones of this side if
// the peer asks for that.
func (t *records) change(request byte) error {
	if request > 1 {
		return t.fail(alertIllegalParameter)
	}
	leaves(leftPerChange)
	if err := t.in.change(); err != nil {
		return t.fail(alertInternalError)
	}
	if request == 1 && !t.mute {
		t.below.Charge(recordPrice)
		leaves(leftPerChange)
		t.owed = t.changed(t.owed)
	}
	return nil
}

// changed appends the message that this side goes on with its next keys.
func (t *records) changed(dst []byte) []byte {
	dst = t.out.seal(dst, recordHandshake, []byte{messageKeyUpdate, 0, 0, 1, 0, 0}[:messageHead+1])
	if t.out.change() != nil {
		t.mute = true
	}
	return dst
}

// alert takes an alert of the peer.
func (t *records) alert(content []byte) error {
	switch {
	case len(content) == 0:
		return t.fail(alertUnexpectedMessage)
	case len(content) != 2:
		return t.fail(alertDecodeError)
	case content[1] == alertCloseNotify:
		t.err = io.EOF
	case content[1] != alertUserCanceled:
		t.err = &net.OpError{Op: "remote error", Err: tls.AlertError(content[1])}
	}
	return t.err
}

// pay makes the peer pay for a record without data.
func (t *records) pay() error {
	missing := t.rekeys.pay()
	switch {
	case missing == 0:
		return nil
	case t.below.link.shaking != nil:
		return errRekeys
	}
	t.below.Rest(missing)
	return errAgain
}

// fail ends both directions. The peer is told why.
func (t *records) fail(alert byte) error {
	if !t.mute {
		t.owed = t.out.seal(t.owed, recordAlert, []byte{2, alert, 0}[:2])
		t.mute = true
	}
	t.err = &net.OpError{Op: "local error", Err: tls.AlertError(alert)}
	return t.err
}

// Seal encrypts, behind what is owed.
func (t *records) Seal(dst []byte, above Source) []byte {
	content := above.Bytes(sealBytes)
	dst = t.takeOwed(dst)
	for len(content) > 0 && !t.mute {
		if t.out.seq >= keysFor {
			dst = t.changed(dst)
		}
		n := min(len(content), recordMost)
		dst, content = t.out.seal(dst, recordData, content[:n]), content[n:]
	}
	return dst
}

// Close appends the alert that nothing follows.
func (t *records) Close(dst []byte) []byte {
	dst = t.takeOwed(dst)
	if !t.mute {
		dst = t.out.seal(dst, recordAlert, []byte{1, alertCloseNotify, 0}[:2])
		t.mute = true
	}
	return dst
}

func (t *records) takeOwed(dst []byte) []byte {
	dst = append(dst, t.owed...)
	t.owed = nil
	return dst
}

// Owes counts answers to key changes, and alerts.
func (t *records) Owes() int { return len(t.owed) }

// Size returns the suite's measured size, what is owed and what is kept.
func (t *records) Size() int64 { return t.in.suite.memory + int64(cap(t.owed)) + t.kept.ChainSize() }

// Blame returns false, because fail has told the peer.
func (t *records) Blame(error) bool { return false }

func (t *records) subject() string { return t.name }
