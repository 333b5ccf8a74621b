// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"reflect"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// ErrNoCertificate is what a TLS configuration's VerifyConnection returns for a
// client without the certificate that it needs.
var ErrNoCertificate = errors.New("the client shows no certificate")

// failureOf returns the event that reports a failed handshake to monitors.
func failureOf(err error) (kind EventKind, value uint64) {
	var web *webError
	var own errno.Errno
	var system sys.Errno
	switch {
	case errors.As(err, &own):
		return EventHandshakeFailed, uint64(own)
	case errors.As(err, &system):
		return EventHandshakeFailed, uint64(system)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return EventHandshakeFailed, uint64(sys.ECONNRESET)
	case errors.As(err, &web):
		return EventHandshakeProtocol, ProtocolWeb + uint64(web.status)
	case aboutCertificate(err):
		return EventHandshakeAuth, uint64(sys.EACCES)
	}
	return EventHandshakeProtocol, ProtocolCrypto
}

// failure returns the value of EventHandshakeFailed for a handshake that ends for another reason than an
// error of its own.
func (why Cause) failure() uint64 {
	switch why {
	case CausePeerClosed, CauseReset:
		return uint64(sys.ECONNRESET)
	case CauseNoMemory:
		return uint64(errno.ENOMEM)
	}
	return uint64(sys.ECONNABORTED)
}

// clearAlertError is the failure of a TLS handshake in which the peer sent an unencrypted
// alert. In TLS 1.3 a peer may do so before it has keys of its own, as OpenSSL does about
// a certificate. crypto/tls takes such an alert for a broken record.
type clearAlertError struct {
	alert uint8
	err   error
}

func (e *clearAlertError) Error() string { return "remote error: " + tls.AlertError(e.alert).Error() }
func (e *clearAlertError) Unwrap() error { return e.err }

// aboutCertificate reports whether one of the sides refused the other's certificate.
func aboutCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	if errors.Is(err, ErrNoCertificate) || errors.As(err, &verification) || errors.As(err, &invalid) {
		return true
	}
	switch alertOf(err) {
	case 42, 43, 44, 45, 46, 48, 49, 116: // bad_certificate … access_denied, certificate_required
		return true
	}
	return false
}

// alertOf returns the number of the alert (RFC 8446, 6.2) that the peer sent, or
// -1. The type that crypto/tls has for it is not exported.
func alertOf(err error) int {
	var clear *clearAlertError
	if errors.As(err, &clear) {
		return int(clear.alert)
	}
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return -1
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return int(v.Uint())
	}
	return -1
}
