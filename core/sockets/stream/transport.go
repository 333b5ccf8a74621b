// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"crypto/x509"
	"math"
	"time"

	"github.com/zlink/zlink/core/certs"
	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// layerOptions apply a socket's options to a layer of a transport; listens means the
// accepting side. A layer without options has no row.
var layerOptions = map[endpoint.Layer]func(o *options, t *engine.Transport, listens bool) error{
	endpoint.LayerTLS: (*options).setTLS,
	endpoint.LayerWeb: (*options).setWeb,
}

// transport returns the transport of an endpoint's connections. EINVAL: a file that TLS
// needs is missing or bad.
func (k *Socket) transport(ep endpoint.Endpoint, listens bool) (*engine.Transport, error) {
	framing := k.framing()
	if !framing.Suits(ep.Scheme) {
		return nil, unsuited(framing, ep.Scheme)
	}
	deflates := k.opt.int(sockets.OptWebDeflate) == 1
	if err := k.opt.mayDeflate(framing); deflates && err != nil {
		return nil, err
	}
	t := &engine.Transport{Endpoint: ep, HandshakeTime: k.opt.duration(sockets.OptHandshakeIvl), Framing: framing, Deflate: deflates,
		Properties: k.opt.properties.Within(int(k.opt.int(sockets.OptPropertyBytes))),
		PeerData:   k.opt.int(sockets.OptPeerData) == 1}
	if listens {
		if t.AcceptTime = k.opt.duration(sockets.OptAcceptTimeout); t.AcceptTime > 0 && k.mode() == ModeCompat {
			return nil, errno.New(errno.EINVAL, "STREAM_ACCEPT_TIMEOUT needs the mode FAST, which has an event for who asks")
		}
		t.ProxyFrom = k.opt.proxyFrom
	}
	for _, layer := range ep.Scheme.Layers {
		set := layerOptions[layer]
		if set == nil {
			continue
		}
		if err := set(&k.opt, t, listens); err != nil {
			return nil, err
		}
	}
	if files, has := t.Renew.(*tlsFiles); has {
		files.owner = k.owner()
	}
	return t, nil
}

func (o *options) setWeb(t *engine.Transport, listens bool) error {
	t.HeaderMax = int(o.int(sockets.OptHeaderMax))
	if listens {
		rules := o.web
		t.Web = &rules
		t.Heartbeat = engine.Heartbeat{Interval: o.duration(sockets.OptHeartbeatIvl), Timeout: o.duration(sockets.OptHeartbeatTimeout)}
	}
	return nil
}

func (o *options) setTLS(t *engine.Transport, listens bool) error {
	switch {
	case listens && t.Endpoint.Scheme.Choice && !o.hasCertificate():
		return nil // who begins TLS is refused
	case listens:
		return o.serveTLS(t)
	}
	config, err := o.clientTLS(t.Endpoint)
	if err == nil {
		t.SetTLS(config)
	}
	return err
}

// hasCertificate reports whether the options name a server's certificate.
func (o *options) hasCertificate() bool {
	return o.strings[sockets.OptTLSCert] != "" || o.strings[sockets.OptTLSKey] != "" || o.strings[sockets.OptTLSCerts] != ""
}

// baseTLS returns what all configurations have in common.
func baseTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true, CipherSuites: defaultCiphers}
}

// eitherTLS returns what the options say for both sides.
func (o *options) eitherTLS() (config *tls.Config, err error) {
	config = baseTLS()
	config.NextProtos = certs.Entries(o.strings[sockets.OptTLSALPN])
	if o.int(sockets.OptTLSMinVersion) == TLS13 {
		config.MinVersion = tls.VersionTLS13
	}
	config.CipherSuites, err = ciphersNamed(o.strings[sockets.OptTLSCiphers])
	return config, err
}

// checkALPN checks the names of protocols, whose length is one byte in a handshake.
func (o *options) checkALPN() error {
	for _, name := range certs.Entries(o.strings[sockets.OptTLSALPN]) {
		if len(name) > math.MaxUint8 {
			return sockets.BadOption(sockets.OptTLSALPN, "takes names of at most %d bytes, not %d", math.MaxUint8, len(name))
		}
	}
	return nil
}

// serverTrustsSystem reports whether a server accepts clients of the system's authorities.
// Those certify everybody, so a server with authorities of its own does not accept them
// unless an option says so.
func (o *options) serverTrustsSystem() bool {
	if _, set := o.ints[sockets.OptTLSTrustSystem]; !set && o.strings[sockets.OptTLSCA] != "" {
		return false
	}
	return o.int(sockets.OptTLSTrustSystem) == 1
}

// clients is what a server requires of its clients.
type clients struct {
	trusted *certs.Authorities
	needed  bool // a certificate
}

// verify is for tls.Config.VerifyConnection. crypto/tls has verified the chains of a new
// session, but it also calls verify for a resumed one. verify checks that one again,
// because the authorities may have changed since the session began.
func (c clients) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		if c.needed { // the mode of crypto/tls for that has an error that cannot be recognized
			return engine.ErrNoCertificate
		}
		return nil
	}
	chains, err := state.VerifiedChains, error(nil)
	if state.DidResume {
		chains, err = verifyClient(state.PeerCertificates, c.trusted.Pool)
	}
	if err == nil && c.trusted.Revokes() {
		err = c.trusted.Check(chains, time.Now())
	}
	return refusal(state, err)
}

func verifyClient(shown []*x509.Certificate, roots *x509.CertPool) ([][]*x509.Certificate, error) {
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, cert := range shown[1:] {
		opts.Intermediates.AddCert(cert)
	}
	return shown[0].Verify(opts)
}

// refusal wraps an error as crypto/tls wraps its own errors about a certificate.
func refusal(state tls.ConnectionState, err error) error {
	if err == nil {
		return nil
	}
	return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
}

// clientTLS returns the configuration of a dialling side.
func (o *options) clientTLS(ep endpoint.Endpoint) (config *tls.Config, err error) {
	if config, err = o.eitherTLS(); err != nil {
		return nil, err
	}
	config.ServerName = o.strings[sockets.OptTLSHostname]
	if config.ServerName == "" {
		config.ServerName = ep.Host
	}
	config.InsecureSkipVerify = o.int(sockets.OptTLSVerify) == 0
	trusted, err := certs.ReadAuthorities(o.strings[sockets.OptTLSCA], o.int(sockets.OptTLSTrustSystem) == 1)
	if err != nil {
		return nil, err
	}
	config.RootCAs = trusted.Pool
	if trusted.Revokes() && !config.InsecureSkipVerify {
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return refusal(state, trusted.Check(state.VerifiedChains, time.Now()))
		}
	}
	if o.strings[sockets.OptTLSCert] == "" && o.strings[sockets.OptTLSKey] == "" {
		return config, nil
	}
	pair, err := o.keyPair()
	config.Certificates = []tls.Certificate{pair}
	// crypto/tls would withhold a certificate that no authority named by the server has
	// signed, and nobody would notice. The certificate may only lack an intermediate one.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return config, err
}

func (o *options) keyPair() (tls.Certificate, error) {
	return certs.KeyPair(o.strings[sockets.OptTLSCert], o.strings[sockets.OptTLSKey], o.strings[sockets.OptTLSPassword])
}
