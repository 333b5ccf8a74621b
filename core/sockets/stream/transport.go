// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"time"

	"github.com/zlink/zlink/core/certs"
	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/engine"
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
	t := &engine.Transport{Endpoint: ep, HandshakeTime: k.opt.duration(sockets.OptHandshakeIvl)}
	for _, layer := range ep.Scheme.Layers {
		set := layerOptions[layer]
		if set == nil {
			continue
		}
		if err := set(&k.opt, t, listens); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (o *options) setWeb(t *engine.Transport, listens bool) error {
	t.HeaderMax = int(o.int(sockets.OptHeaderMax))
	if listens {
		t.Heartbeat = engine.Heartbeat{Interval: o.duration(sockets.OptHeartbeatIvl), Timeout: o.duration(sockets.OptHeartbeatTimeout)}
	}
	return nil
}

func (o *options) setTLS(t *engine.Transport, listens bool) (err error) {
	var config *tls.Config
	if listens {
		config, err = o.serverTLS()
	} else {
		config, err = o.clientTLS(t.Endpoint)
	}
	if err == nil {
		t.TLS.Store(config)
	}
	return err
}

func baseTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true, CipherSuites: defaultCiphers}
}

// serverTLS returns the configuration of an accepting side.
func (o *options) serverTLS() (*tls.Config, error) {
	pair, err := o.keyPair()
	if err != nil {
		return nil, err
	}
	config := baseTLS()
	if config.CipherSuites, err = ciphersNamed(o.strings[sockets.OptTLSCiphers]); err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{pair}
	if o.strings[sockets.OptTLSCA] == "" && o.int(sockets.OptTLSClientCert) == 0 {
		return config, nil
	}
	return config, o.checkClients(config)
}

// checkClients makes the configuration of an accepting side verify clients.
func (o *options) checkClients(config *tls.Config) error {
	trusted, err := certs.ReadAuthorities(o.strings[sockets.OptTLSCA], o.serverTrustsSystem())
	if err != nil {
		return err
	}
	config.ClientCAs = trusted.Pool
	config.ClientAuth = tls.VerifyClientCertIfGiven
	config.VerifyConnection = clients{trusted, o.int(sockets.OptTLSClientCert) == 1}.verify
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
	config = baseTLS()
	if config.CipherSuites, err = ciphersNamed(o.strings[sockets.OptTLSCiphers]); err != nil {
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

// readCertificate is certs.Certificate; a test slows it down.
var readCertificate = certs.Certificate

// reloadTLS gives existing listeners a new certificate or new authorities. The old
// certificate stays until the new certificate and the new key fit together. Only listeners
// with authorities get new ones. EINVAL: the file of opt cannot be used.
func (k *Socket) reloadTLS(opt sockets.Option) error {
	if opt != sockets.OptTLSCert && opt != sockets.OptTLSKey && opt != sockets.OptTLSCA {
		return nil
	}
	secure := k.secureListeners()
	if len(secure) == 0 {
		return nil
	}
	// Without the lock, because a slow disk must not stop the io threads.
	if opt == sockets.OptTLSCA {
		return k.opt.reloadAuthorities(secure)
	}
	var err error
	if opt == sockets.OptTLSCert {
		_, err = readCertificate(k.opt.strings[sockets.OptTLSCert])
	} else {
		_, err = certs.Key(k.opt.strings[sockets.OptTLSKey], k.opt.strings[sockets.OptTLSPassword])
	}
	if err != nil {
		return err
	}
	pair, err := k.opt.keyPair()
	if err != nil {
		return nil // the other file follows
	}
	for _, t := range secure {
		config := t.TLS.Load().Clone()
		config.Certificates = []tls.Certificate{pair}
		t.TLS.Store(config)
	}
	return nil
}

// reloadAuthorities gives new authorities to the listeners that verify clients. ""
// leaves all listeners as they are.
func (o *options) reloadAuthorities(secure []*engine.Transport) error {
	verify := slices.DeleteFunc(secure, func(t *engine.Transport) bool {
		return t.TLS.Load().ClientAuth == tls.NoClientCert
	})
	if o.strings[sockets.OptTLSCA] == "" || len(verify) == 0 {
		return nil
	}
	fresh := baseTLS()
	if err := o.checkClients(fresh); err != nil {
		return err
	}
	for _, t := range verify {
		config := t.TLS.Load().Clone()
		config.ClientCAs, config.VerifyConnection = fresh.ClientCAs, fresh.VerifyConnection
		t.TLS.Store(config)
	}
	return nil
}

// secureListeners returns the transports of listeners with TLS.
func (k *Socket) secureListeners() (secure []*engine.Transport) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.listeners {
		if l.Transport().TLS.Load() != nil {
			secure = append(secure, l.Transport())
		}
	}
	return secure
}
