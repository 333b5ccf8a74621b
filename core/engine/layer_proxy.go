// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"io"
	"net/netip"

	"github.com/zlink/zlink/core/sys"
)

// layerProxy is the header of the PROXY protocol in front of all other layers. It leaves after
// its handshake, and then the peer's address is the client's.
var layerProxy = LayerKind{Shake: shakeProxy, PeerFirst: true, Readdresses: true, Holds: proxyFirst}

// proxyFirst is the size of the buffer that a header is read into first.
const proxyFirst = 256

// errProbe ends a connection of the sender itself, which says nothing: its check of whether
// somebody listens here.
var errProbe = errors.New("a check of the proxy")

func shakeProxy(below Level, g *Greeting) (Layer, error) {
	h, behind, err := takeProxyHeader(below)
	if err != nil {
		return nil, err
	}
	if !h.client.IsValid() || h.client == g.Remote.AddrPort { // HAProxy has that in checks of version 1
		return nil, waitForWord(below, behind)
	}
	if len(behind) > 0 {
		below.Unread(behind)
	}
	noteProxy(g.notes, &h, g.Remote)
	g.Remote = Address{AddrPort: h.client}
	return nil, g.notes.within()
}

// takeProxyHeader reads a header, and returns what came behind it.
func takeProxyHeader(from io.Reader) (h proxyHeader, behind []byte, err error) {
	buf := make([]byte, 0, proxyFirst)
	for {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, proxyFixed+proxyHeaderMost), buf...)
		}
		n, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if n > 0 {
			h, size, err := readProxyHeader(buf)
			if err != nil || size > 0 {
				return h, buf[size:], err
			}
		} else if err != nil {
			return h, nil, err
		}
	}
}

// waitForWord waits for a connection of the sender itself to say something. A check that only
// wants to know whether somebody listens does not, and never becomes a peer.
func waitForWord(below Level, behind []byte) error {
	if len(behind) == 0 {
		first := make([]byte, 1)
		n, err := below.Read(first)
		switch {
		case n == 0 && (errors.Is(err, io.EOF) || errors.Is(err, sys.ECONNRESET)):
			return errProbe
		case n == 0 && err != nil:
			return err
		}
		behind = first[:n]
	}
	below.Unread(behind)
	return nil
}

// noteProxy keeps what is asked for of a header. remote is the sender.
func noteProxy(n *notes, h *proxyHeader, remote Address) {
	if !n.wantsSome(proxyAddress, proxyTLSName) {
		return
	}
	if remote.IsValid() {
		n.note(proxyAddress, remote.Addr().String())
	}
	n.note(proxyDestination, h.server.String())
	for rest := h.more; len(rest) > 0; {
		kind, value, next := proxyType(rest)
		switch kind {
		case proxyALPN:
			n.some(proxyNoteALPN, string(value))
		case proxyAuthority:
			n.some(proxyNoteAuthority, string(value))
		case proxySSL:
			n.noteProxySSL(value)
		}
		rest = rest[next:]
	}
}

// noteProxySSL keeps what the sender says about the client's TLS. It is the name in the
// certificate only if the sender has verified that.
func (n *notes) noteProxySSL(value []byte) {
	client, verified := value[0], string(value[1:proxySSLFixed]) == "\x00\x00\x00\x00"
	if client&proxySSLClient == 0 {
		return
	}
	for rest := value[proxySSLFixed:]; len(rest) > 0; {
		kind, text, next := proxyType(rest)
		switch {
		case next == 0:
			return
		case kind == proxySSLVersion:
			n.some(proxyTLSVersion, string(text))
		case kind == proxySSLCipher:
			n.some(proxyTLSCipher, string(text))
		case kind == proxySSLName && client&proxySSLCert != 0 && verified:
			n.some(proxyTLSName, string(text))
		}
		rest = rest[next:]
	}
}

// fromProxy reports whether a connection may come with a header of the PROXY protocol. One of
// the local system is as trusted as the file that it came by.
func (t *Transport) fromProxy(from netip.Addr) bool {
	return !from.IsValid() || t.ProxyFrom.Contains(from)
}
