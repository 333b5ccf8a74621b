// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"crypto/tls"
	"net"
	"os"
	"time"
)

// tlsSize is the measured memory of a connection's TLS layer in bytes, with its share of
// garbage.
const tlsSize = 11 << 10

var layerTLS = LayerKind{Shake: shakeTLS, PeerFirst: true}

// tlsLayer is a connection's TLS. crypto/tls fits an event loop, because it can continue
// after a read that found nothing.
type tlsLayer struct {
	secure *tls.Conn
	below  Level
	out    []byte // written by crypto/tls, and not yet taken by Seal
	shaken bool   // the handshake is over: writes now wait in out
	rekeys rekeys // of the peer
	alert  uint8  // number of the unencrypted alert that the last read of the handshake brought; 0: none
}

// shakeTLS makes a handshake of TLS 1.2 or 1.3.
func shakeTLS(below Level, g *Greeting) (Layer, error) {
	t := &tlsLayer{below: below}
	below.link.shaking.intake = new(intake)
	if config := g.Transport.TLS.Load(); g.Dialled {
		t.secure = tls.Client((*tlsBelow)(t), config)
	} else {
		t.secure = tls.Server((*tlsBelow)(t), config)
	}
	if err := t.secure.Handshake(); err != nil {
		return nil, t.explained(err)
	}
	t.shaken = true
	return t, nil
}

// explained adds what the peer said to the error of a handshake.
func (t *tlsLayer) explained(err error) error {
	if t.alert == 0 {
		return err
	}
	return &clearAlertError{t.alert, err}
}

// Decode decrypts input, and charges for answers and for records that hold little.
func (t *tlsLayer) Decode(_ Level, buf []byte) (int, error) {
	owed := len(t.out)
	n, err := t.secure.Read(buf)
	t.below.Charge(max(0, recordPrice-n))
	if n > 0 {
		t.rekeys.data(n)
	}
	if answers := len(t.out) - owed; answers > 0 {
		leaves(int64(answers) * leftPerAnswer)
	}
	return n, err
}

// Seal encrypts, behind what crypto/tls has written by itself.
func (t *tlsLayer) Seal(dst []byte, above Source) []byte {
	plain := above.Bytes(sealBytes)
	t.out = append(dst, t.out...)
	if len(plain) > 0 {
		_, _ = t.secure.Write(plain) // fails only after an alert of its own, which is in out
	}
	return t.take()
}

// Close appends the alert that nothing follows.
func (t *tlsLayer) Close(dst []byte) []byte {
	t.out = append(dst, t.out...)
	_ = t.secure.CloseWrite()
	return t.take()
}

func (t *tlsLayer) take() []byte {
	out := t.out
	t.out = nil
	return out
}

// Owes counts answers to key changes, and alerts.
func (t *tlsLayer) Owes() int { return len(t.out) }

// Size returns the measured size plus what is owed.
func (t *tlsLayer) Size() int64 { return tlsSize + int64(cap(t.out)) }

// Blame returns false, because crypto/tls has written an alert.
func (t *tlsLayer) Blame(error) bool { return false }

// subject returns the name in the peer's verified certificate, or "".
func (t *tlsLayer) subject() string {
	if chains := t.secure.ConnectionState().VerifiedChains; len(chains) > 0 {
		return chains[0][0].Subject.String()
	}
	return ""
}

// tlsBelow is the layer as the net.Conn below crypto/tls.
type tlsBelow tlsLayer

// Read reads encrypted bytes.
func (t *tlsBelow) Read(buf []byte) (int, error) {
	if !t.shaken {
		t.rekeys.shaking()
	} else if err := (*tlsLayer)(t).payChanges(); err != nil {
		return 0, err
	} else if t.rekeys.some {
		buf = buf[:min(len(buf), rekeyRead)]
	}
	n, err := t.below.Read(buf)
	t.rekeys.records.came(buf[:n])
	if !t.shaken && n > 0 {
		t.alert = clearAlert(buf[:n])
	}
	return n, err
}

// Write takes encrypted bytes. It cannot fail once the handshake is over.
func (t *tlsBelow) Write(data []byte) (int, error) {
	if !t.shaken {
		return t.below.Write(data)
	}
	t.out = append(t.out, data...)
	t.below.Charge(recordPrice)
	return len(data), nil
}

// clearAlert returns the number of the unencrypted alert (RFC 8446, 6) that ends data as a
// record of its own, or 0.
func clearAlert(data []byte) uint8 {
	record := []byte{21, 3, 3, 0, 2, 2} // alert, version, 2 bytes: fatal, and
	if from := len(data) - len(record) - 1; from >= 0 && bytes.HasPrefix(data[from:], record) {
		return data[len(data)-1]
	}
	return 0
}

// The rest of net.Conn: the descriptor and its time limits are the connection's.

// Close does nothing.
func (t *tlsBelow) Close() error { return nil }

// LocalAddr returns nil.
func (t *tlsBelow) LocalAddr() net.Addr { return nil }

// RemoteAddr returns nil.
func (t *tlsBelow) RemoteAddr() net.Addr { return nil }

// SetDeadline always fails.
func (t *tlsBelow) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline always fails.
func (t *tlsBelow) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline always fails.
func (t *tlsBelow) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
