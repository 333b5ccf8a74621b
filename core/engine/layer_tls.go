// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/tls"
	"net"
	"os"
	"slices"
	"time"
)

// tlsSize is the measured memory of a connection of TLS 1.2 in bytes, with its share of
// garbage.
const tlsSize = 11 << 10

var layerTLS = LayerKind{Shake: shakeTLS, PeerFirst: true}

// tlsLayer is a handshake of TLS, and then a connection of TLS 1.2. crypto/tls fits an event
// loop, because it can continue after a read that found nothing.
type tlsLayer struct {
	secure *tls.Conn
	below  Level
	out    []byte    // written by crypto/tls, and not yet taken by Seal
	greets *greetTLS // nil: the handshake is over, and writes wait in out
}

// greetTLS is what a handshake of TLS needs.
type greetTLS struct {
	config  *tls.Config
	records recordCount // of the peer
	alert   uint8       // number of the unencrypted alert that the last record was; 0: none
	secrets tlsSecrets
	flight  []byte // what was written since there are secrets
}

// SetTLS sets the configuration of connections that are made from now on, and may change it.
// From then on it belongs to the transport.
func (t *Transport) SetTLS(config *tls.Config) {
	config.GetConfigForClient = logKeys
	t.tls.Store(config)
}

// TLS returns a copy of the configuration, or nil if the endpoint is not secure.
func (t *Transport) TLS() *tls.Config { return t.tls.Load().Clone() }

// logKeys has crypto/tls tell the keys of one handshake of TLS 1.3. Tickets stay those of the
// configuration.
func logKeys(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	below, ours := hello.Conn.(*tlsBelow)
	if !ours || !slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		return nil, nil
	}
	return below.greets.logging(), nil
}

// logging returns the configuration with a log of keys.
func (g *greetTLS) logging() *tls.Config {
	config := g.config.Clone()
	config.KeyLogWriter = &g.secrets
	return config
}

// renew looks for changes of the listener's files, for one handshake in RenewEvery. Others may
// compute meanwhile.
func (t *Transport) renew(c *fdConn) {
	last, now := t.renewed.Load(), time.Since(clockStart)
	if t.Renew == nil || now-time.Duration(last) < t.RenewEvery || !t.renewed.CompareAndSwap(last, int64(now)) {
		return
	}
	c.gate.rest()
	t.Renew.Renew()
	c.gate.compute()
}

// shakeTLS makes a handshake of TLS 1.2 or 1.3.
func shakeTLS(below Level, g *Greeting) (Layer, error) {
	if !g.Dialled {
		g.Transport.renew(below.link.shaking)
	}
	greets := &greetTLS{config: g.Transport.tls.Load()}
	t := &tlsLayer{below: below, greets: greets}
	below.link.shaking.intake = new(intake)
	if g.Dialled {
		t.secure = tls.Client((*tlsBelow)(t), greets.logging())
	} else {
		t.secure = tls.Server((*tlsBelow)(t), greets.config)
	}
	if err := t.secure.Handshake(); err != nil {
		return nil, greets.explained(err)
	}
	state := t.secure.ConnectionState()
	if err := noteTLS(g.notes, &state); err != nil {
		return nil, err
	}
	if state.Version == tls.VersionTLS13 {
		return t.records(state, g.Dialled)
	}
	t.greets = nil
	return t, nil
}

// explained adds what the peer said to the error of a handshake.
func (g *greetTLS) explained(err error) error {
	if g.alert == 0 {
		return err
	}
	return &clearAlertError{g.alert, err}
}

// records returns the layer that goes on after a handshake of TLS 1.3. Nothing was read
// beyond that, but tickets may have been written.
func (t *tlsLayer) records(state tls.ConnectionState, client bool) (Layer, error) {
	r := &records{below: t.below, client: client, name: subjectOf(state)}
	suite, in, out := tlsSuites[state.CipherSuite], t.greets.secrets.client, t.greets.secrets.server
	if client {
		in, out = out, in
	}
	err := r.in.start(suite, in)
	if err == nil {
		err = r.out.start(suite, out)
	}
	if err != nil {
		return nil, err
	}
	for flight := t.greets.flight; len(flight) > 0; {
		record, ok := wholeRecord(flight)
		if record == nil || !ok {
			break
		}
		r.out.open(record, nil) // counts those that have these keys
		flight = flight[len(record):]
	}
	return r, nil
}

// Decode decrypts input, and charges for answers and for records that hold little.
func (t *tlsLayer) Decode(_ Level, buf []byte) (int, error) {
	n, err := t.secure.Read(buf)
	t.below.Charge(max(0, recordPrice-n))
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

// Owes counts alerts.
func (t *tlsLayer) Owes() int { return len(t.out) }

// Size returns the measured size plus what is owed.
func (t *tlsLayer) Size() int64 { return tlsSize + int64(cap(t.out)) }

// Drop does nothing.
func (t *tlsLayer) Drop() {}

// Blame returns false, because crypto/tls has written an alert.
func (t *tlsLayer) Blame(error) bool { return false }

func (t *tlsLayer) subject() string { return subjectOf(t.secure.ConnectionState()) }

// subjectOf returns the name in the peer's verified certificate, or "".
func subjectOf(state tls.ConnectionState) string {
	if len(state.VerifiedChains) == 0 {
		return ""
	}
	return state.VerifiedChains[0][0].Subject.String()
}

// tlsBelow is the layer as the net.Conn below crypto/tls.
type tlsBelow tlsLayer

// Read reads encrypted bytes. During the handshake it reads no further than to the end of a
// record, so that nothing is left in crypto/tls when the handshake is over.
func (t *tlsBelow) Read(buf []byte) (int, error) {
	if t.greets == nil {
		return t.below.Read(buf)
	}
	r := &t.greets.records
	n, err := t.below.Read(buf[:min(len(buf), r.due())])
	r.came(buf[:n])
	// A record of 2 bytes that is not encrypted: fatal, and the number.
	if t.greets.alert = 0; r.header[0] == recordAlert && r.size == 2 && n == 2 && buf[0] == 2 {
		t.greets.alert = buf[1]
	}
	return n, err
}

// Write takes encrypted bytes. It cannot fail once the handshake is over.
func (t *tlsBelow) Write(data []byte) (int, error) {
	if t.greets != nil {
		if t.greets.secrets.server != nil {
			t.greets.flight = append(t.greets.flight, data...)
		}
		return t.below.Write(data)
	}
	t.out = append(t.out, data...)
	t.below.Charge(recordPrice)
	return len(data), nil
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
