// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

// property is a number of something that may be kept of a peer.
type property uint8

const (
	peerAddress property = iota
	peerPort
	localAddress
	localPort
	transportName
	tlsVersion
	tlsCipher
	tlsSNI
	tlsALPN
	tlsSubject
	tlsSAN
	tlsSHA256
	webPath
	webQuery
	webOrigin
	webProtocol
	proxyAddress
	proxyDestination
	proxyNoteALPN
	proxyNoteAuthority
	proxyTLSVersion
	proxyTLSCipher
	proxyTLSName
	properties // their number
)

// The properties that need no card.
const (
	PeerAddress  = "Peer-Address"
	PeerPort     = "Peer-Port"
	LocalAddress = "Local-Address"
	LocalPort    = "Local-Port"
	TransportIs  = "Transport"
)

var propertyNames = [properties]string{
	peerAddress:        PeerAddress,
	peerPort:           PeerPort,
	localAddress:       LocalAddress,
	localPort:          LocalPort,
	transportName:      TransportIs,
	tlsVersion:         "TLS-Version",
	tlsCipher:          "TLS-Cipher",
	tlsSNI:             "TLS-SNI",
	tlsALPN:            "TLS-ALPN",
	tlsSubject:         "TLS-Peer-Subject",
	tlsSAN:             "TLS-Peer-SAN",
	tlsSHA256:          "TLS-Peer-SHA256",
	webPath:            "WS-Path",
	webQuery:           "WS-Query",
	webOrigin:          "WS-Origin",
	webProtocol:        "WS-Protocol",
	proxyAddress:       "Proxy-Address",
	proxyDestination:   "Proxy-Destination",
	proxyNoteALPN:      "Proxy-ALPN",
	proxyNoteAuthority: "Proxy-Authority",
	proxyTLSVersion:    "Proxy-TLS-Version",
	proxyTLSCipher:     "Proxy-TLS-Cipher",
	proxyTLSName:       "Proxy-TLS-Peer-CN",
}

// headersMost limits the fields of HTTP in a list of properties: each request is searched for
// each of them.
const headersMost = 32

// Properties says what is kept of each peer. It does not change; nil means nothing.
type Properties struct {
	fixed   uint32   // a bit for each property
	headers []string // fields of HTTP
	most    int      // bytes of one peer; 0: no limit
}

// ParseProperties reads names of properties, with commas or spaces between. nil: there are
// none. The error names the entry that is wrong.
func ParseProperties(text string) (*Properties, error) {
	p := &Properties{}
	for _, name := range strings.FieldsFunc(text, betweenEntries) {
		if err := p.add(name); err != nil {
			return nil, err
		}
	}
	if p.fixed == 0 && len(p.headers) == 0 {
		return nil, nil
	}
	return p, nil
}

// betweenEntries reports whether a character separates the entries of a list.
func betweenEntries(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }

func (p *Properties) add(name string) error {
	if field, is := cutPrefixFold(name, shm.HeaderPrefix); is {
		switch {
		case !isToken(field):
			return fmt.Errorf("%.64q does not name a field of HTTP", name)
		case len(p.headers) == headersMost:
			return fmt.Errorf("there are more than %d fields of HTTP", headersMost)
		}
		p.headers = append(p.headers, field)
		return nil
	}
	for i, known := range propertyNames {
		if name == known {
			p.fixed |= 1 << i
			return nil
		}
	}
	return fmt.Errorf("%.64q is not the name of a property", name)
}

func cutPrefixFold(text, prefix string) (rest string, has bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return "", false
	}
	return text[len(prefix):], true
}

// Within returns the same list with a limit for what is kept of one peer. p may be nil.
func (p *Properties) Within(most int) *Properties {
	if p == nil {
		return nil
	}
	limited := *p
	limited.most = most
	return &limited
}

// notes collect what is kept of a peer while its handshakes go on. nil: nothing is. The
// goroutine of the handshake has them, then the driver.
type notes struct {
	list  *Properties
	texts []byte // as in a shm.Card
}

func newNotes(t *Transport) *notes {
	if t.Properties == nil {
		return nil
	}
	return &notes{list: t.Properties}
}

func (n *notes) size() int64 {
	if n == nil {
		return 0
	}
	return int64(cap(n.texts))
}

// errTooMuch refuses a peer: half of what an application asked for could mislead it.
var errTooMuch = errno.New(errno.EMSGSIZE, "what is to be kept of the peer is longer than STREAM_PROPERTY_BYTES")

// wants reports whether a property is kept.
func (n *notes) wants(p property) bool { return n != nil && n.list.fixed&(1<<p) != 0 }

// wantsSome is wants for any of several.
func (n *notes) wantsSome(first, last property) bool {
	return n != nil && n.list.fixed>>first&(1<<(last-first+1)-1) != 0
}

// note keeps a value, if it is asked for.
func (n *notes) note(p property, value string) {
	if n.wants(p) {
		n.keep(propertyNames[p], value)
	}
}

// some is note for a value that is not empty.
func (n *notes) some(p property, value string) {
	if value != "" {
		n.note(p, value)
	}
}

// keep adds a text, in which a NUL would end it.
func (n *notes) keep(name, value string) {
	n.texts = append(n.texts, name...)
	n.texts = append(n.texts, 0)
	n.texts = append(n.texts, visible(value)...)
	n.texts = append(n.texts, 0)
}

// within returns an error if there is more than may be kept.
func (n *notes) within() error {
	if n != nil && n.list.most > 0 && len(n.texts) > n.list.most {
		return errTooMuch
	}
	return nil
}

// visible returns text with control characters as \ and two digits of hex.
func visible(text string) string { return escaped(text, "") }

// escaped returns text with control characters, and those of more, as \ and two digits of hex.
func escaped(text, more string) string {
	out := make([]byte, 0, len(text))
	for _, c := range []byte(text) {
		if !inField(c) || strings.IndexByte(more, c) >= 0 {
			out = fmt.Appendf(out, "\\%02X", c)
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

// identify gives a new session the peer's address, and a card with what is kept, or those of the session
// that asked. What is kept of addresses needs no limit.
func (a *arrival) identify(s *shm.Session) {
	if a.reserved != nil {
		s.ShareCard(a.reserved)
		return
	}
	list := a.transport.Properties
	if list == nil && !a.transport.PeerData {
		s.SetPeer(ipOf(a.remote))
		return
	}
	if list == nil {
		list = &Properties{}
	}
	kept := notes{list: list}
	if a.notes != nil {
		kept = *a.notes
	}
	if addr := a.remote.Addr(); addr.IsValid() {
		kept.keep(PeerAddress, addr.String()) // a message has the card in the place of these two
		kept.keep(PeerPort, strconv.Itoa(int(a.remote.Port())))
	}
	kept.note(transportName, a.transport.Endpoint.Scheme.Name)
	if kept.wantsSome(localAddress, localPort) {
		address, port := localEnd(a.fd)
		kept.some(localAddress, address)
		kept.some(localPort, port)
	}
	s.SetCard(a.account, ipOf(a.remote), kept.texts, a.transport.PeerData)
}

// localEnd returns the address of this end of a descriptor and its port. ipc has a path and no port.
func localEnd(fd int) (address, port string) {
	local, err := sys.Sockname(fd)
	switch {
	case err != nil:
		return "", ""
	case local.Path != "":
		return local.Path, ""
	}
	return local.Addr().String(), strconv.Itoa(int(local.Port()))
}

// End returns one of the properties that every connection has. The caller holds the lock
// that the owner holds in Detach, and c.Connected.
func (c *Conn) End(name string) (value string, has bool) {
	return endOf(int(c.fd), c.transport.Endpoint.Scheme.Name, name)
}

// endOf returns a property of this end of a connection.
func endOf(fd int, scheme, name string) (value string, has bool) {
	switch name {
	case TransportIs:
		return scheme, true
	case LocalAddress:
		value, _ = localEnd(fd)
	case LocalPort:
		_, value = localEnd(fd)
	}
	return value, value != ""
}

// PeerProperty returns a property of a session's peer: what is kept, or its address. The
// caller has a reference to the session.
func PeerProperty(s *shm.Session, name string) (value string, has bool) {
	if value, has = s.Card().Property(name); has {
		return value, true
	}
	addr := AddressOf(s)
	switch {
	case !addr.IsValid():
		return "", false
	case name == PeerAddress:
		return addr.Addr().String(), true
	case name == PeerPort:
		return strconv.Itoa(int(addr.Port())), true
	}
	return "", false
}
