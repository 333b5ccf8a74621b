// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"strings"

	"github.com/zlink/zlink/core/shm"
)

// noteTLS keeps what is asked for of a TLS connection whose handshake is over. A certificate
// is kept only if it was verified.
func noteTLS(n *notes, state *tls.ConnectionState) error {
	if !n.wantsSome(tlsVersion, tlsSHA256) {
		return nil
	}
	n.note(tlsVersion, versionName(state.Version))
	n.note(tlsCipher, tls.CipherSuiteName(state.CipherSuite))
	n.some(tlsSNI, state.ServerName)
	n.some(tlsALPN, state.NegotiatedProtocol)
	if len(state.VerifiedChains) > 0 {
		noteCertificate(n, state.VerifiedChains[0][0])
	}
	return n.within()
}

func noteCertificate(n *notes, c *x509.Certificate) {
	n.note(tlsSubject, c.Subject.String())
	if n.wants(tlsSAN) {
		n.some(tlsSAN, alternativeNames(c))
	}
	sum := sha256.Sum256(c.Raw)
	n.note(tlsSHA256, hex.EncodeToString(sum[:]))
}

func versionName(version uint16) string {
	return strings.Replace(tls.VersionName(version), " ", "v", 1)
}

// alternativeNames returns the names of a certificate with their kinds. The characters that
// separate them are escaped within one, so that a name cannot look like two.
func alternativeNames(c *x509.Certificate) string {
	var all []string
	add := func(kind, name string) { all = append(all, kind+":"+escaped(name, `\,`)) }
	for _, name := range c.DNSNames {
		add("DNS", name)
	}
	for _, ip := range c.IPAddresses {
		add("IP", ip.String())
	}
	for _, name := range c.EmailAddresses {
		add("email", name)
	}
	for _, uri := range c.URIs {
		add("URI", uri.String())
	}
	return strings.Join(all, ", ")
}

// noteRequest keeps what is asked for of a request for a WebSocket.
func noteRequest(n *notes, h *head, req requestLine, protocol string) error {
	if n == nil {
		return nil
	}
	n.note(webPath, req.path)
	if req.asks {
		n.note(webQuery, req.query)
	}
	n.some(webProtocol, protocol)
	if n.wants(webOrigin) {
		n.noteField(propertyNames[webOrigin], h, "Origin")
	}
	for _, name := range n.list.headers {
		n.noteField(shm.HeaderPrefix+name, h, name)
	}
	if n.within() != nil {
		return &refusal{status: statusRequestHeaderFieldsTooLarge,
			text: "what the server keeps of a request is longer than it may be (STREAM_PROPERTY_BYTES)"}
	}
	return nil
}

// noteField keeps the value of a field. Several lines are one list (RFC 9110, 5.3), and
// those of Cookie one value (RFC 9113, 8.2.3).
func (n *notes) noteField(name string, h *head, field string) {
	between := ", "
	if strings.EqualFold(field, "Cookie") {
		between = "; "
	}
	var values []string
	for value := range h.all(field) {
		values = append(values, value)
	}
	if values != nil {
		n.keep(name, strings.Join(values, between))
	}
}
