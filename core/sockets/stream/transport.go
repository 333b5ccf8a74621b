// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/zlink/zlink/core/certs"
	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/engine"
)

// transport returns what the connections of an endpoint are made with. EINVAL: a
// file that TLS needs is missing or bad.
func (k *Socket) transport(ep endpoint.Endpoint, listens bool) (*engine.Transport, error) {
	t := &engine.Transport{Endpoint: ep, HandshakeTime: k.opt.duration(OptHandshakeIvl),
		HeaderMax: int(k.opt.int(OptHeaderMax))}
	if listens {
		t.Heartbeat = engine.Heartbeat{Interval: k.opt.duration(OptHeartbeatIvl), Timeout: k.opt.duration(OptHeartbeatTimeout)}
	}
	if !ep.Transport.Secure() {
		return t, nil
	}
	config, err := k.opt.clientTLS(ep)
	if listens {
		config, err = k.opt.serverTLS()
	}
	if err != nil {
		return nil, err
	}
	t.TLS.Store(config)
	return t, nil
}

func baseTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true}
}

// serverTLS is the configuration of an accepting side.
func (o *options) serverTLS() (*tls.Config, error) {
	pair, err := o.keyPair()
	if err != nil {
		return nil, err
	}
	config := baseTLS()
	config.Certificates = []tls.Certificate{pair}
	if o.strings[OptTLSCA] == "" && o.int(OptTLSClientCert) == 0 {
		return config, nil
	}
	if config.ClientCAs, err = o.authorities(); err != nil {
		return nil, err
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if o.int(OptTLSClientCert) == 1 {
		config.VerifyConnection = needCertificate
	}
	return config, nil
}

// needCertificate refuses a client without a certificate. crypto/tls has a mode
// for that, whose error cannot be told from others.
func needCertificate(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return engine.ErrNoCertificate
	}
	return nil
}

// clientTLS is the configuration of a dialling side.
func (o *options) clientTLS(ep endpoint.Endpoint) (config *tls.Config, err error) {
	config = baseTLS()
	config.ServerName = o.strings[OptTLSHostname]
	if config.ServerName == "" {
		config.ServerName = ep.Host
	}
	config.InsecureSkipVerify = o.int(OptTLSVerify) == 0
	if config.RootCAs, err = o.authorities(); err != nil {
		return nil, err
	}
	if o.strings[OptTLSCert] == "" && o.strings[OptTLSKey] == "" {
		return config, nil
	}
	pair, err := o.keyPair()
	config.Certificates = []tls.Certificate{pair}
	return config, err
}

func (o *options) keyPair() (tls.Certificate, error) {
	return certs.KeyPair(o.strings[OptTLSCert], o.strings[OptTLSKey], o.strings[OptTLSPassword])
}

func (o *options) authorities() (*x509.CertPool, error) {
	return certs.Authorities(o.strings[OptTLSCA], o.int(OptTLSTrustSystem) == 1)
}

// readCertificate is certs.Certificate; a test makes it slow.
var readCertificate = certs.Certificate

// reloadTLS gives listeners that are there a new certificate, once certificate
// and key fit; until both are set the old one stays. EINVAL: the file of opt
// cannot be used.
func (k *Socket) reloadTLS(opt Option) error {
	if opt != OptTLSCert && opt != OptTLSKey {
		return nil
	}
	secure := k.secureListeners()
	if len(secure) == 0 {
		return nil
	}
	// Without the lock: a disk that is slow must not stop the io threads.
	var err error
	if opt == OptTLSCert {
		_, err = readCertificate(k.opt.strings[OptTLSCert])
	} else {
		_, err = certs.Key(k.opt.strings[OptTLSKey], k.opt.strings[OptTLSPassword])
	}
	if err != nil {
		return err
	}
	pair, err := k.opt.keyPair()
	if err != nil {
		return nil // the other one follows
	}
	for _, t := range secure {
		config := t.TLS.Load().Clone()
		config.Certificates = []tls.Certificate{pair}
		t.TLS.Store(config)
	}
	return nil
}

// secureListeners returns the transports of listeners with TLS.
func (k *Socket) secureListeners() (secure []*engine.Transport) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.listeners {
		if l.Transport().Endpoint.Transport.Secure() {
			secure = append(secure, l.Transport())
		}
	}
	return secure
}
