// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"crypto/tls"
	"sync"
	"time"

	"github.com/zlink/zlink/core/certs"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// tlsPart is a part of a listener's configuration that comes from files. Each is read again by
// itself, so that a file that cannot be used holds no other up.
type tlsPart int

const (
	ownPart       tlsPart = iota // certificates, keys and staples
	authorityPart                // who clients may be
	ticketPart
	tlsParts // their number
)

// partOf maps the options that a bound listener takes to what has to be read.
var partOf = map[sockets.Option]tlsPart{
	sockets.OptTLSCert:       ownPart,
	sockets.OptTLSKey:        ownPart,
	sockets.OptTLSCerts:      ownPart,
	sockets.OptTLSOCSP:       ownPart,
	sockets.OptTLSCA:         authorityPart,
	sockets.OptTLSTicketKeys: ticketPart,
}

// tlsNames say which files a listener has, and what it asks of clients.
type tlsNames struct {
	own         certs.ServerFiles
	authorities string
	trustSystem bool
	needsClient bool // a certificate
	tickets     string

	last *certs.Identity // read last; nil: none
}

func (o *options) tlsNames() tlsNames {
	return tlsNames{
		own: certs.ServerFiles{Cert: o.strings[sockets.OptTLSCert], Key: o.strings[sockets.OptTLSKey],
			Password: o.strings[sockets.OptTLSPassword], Named: o.strings[sockets.OptTLSCerts], Staples: o.strings[sockets.OptTLSOCSP]},
		authorities: o.strings[sockets.OptTLSCA], trustSystem: o.serverTrustsSystem(),
		needsClient: o.int(sockets.OptTLSClientCert) == 1, tickets: o.strings[sockets.OptTLSTicketKeys],
	}
}

// verifies reports whether clients may show certificates.
func (n *tlsNames) verifies() bool { return n.authorities != "" || n.needsClient }

// paths returns the files of a part.
func (n *tlsNames) paths(p tlsPart) []string {
	switch p {
	case ownPart:
		return n.own.Paths()
	case authorityPart:
		return []string{n.authorities}
	}
	return []string{n.tickets}
}

// tlsChange puts what was read into a configuration.
type tlsChange func(*tls.Config)

// read reads the files of a part. Unless it is strict, a bad staple is an error beside the change.
func (n *tlsNames) read(p tlsPart, strict bool) (tlsChange, error) {
	switch {
	case p == ownPart:
		before := n.last
		if strict {
			before = nil
		}
		id, err := n.own.Read(before)
		if id == nil {
			return nil, err
		}
		return func(c *tls.Config) { n.last, c.GetCertificate = id, id.Choose }, err
	case p == authorityPart && n.verifies():
		return n.checkClients()
	case p == ticketPart && n.tickets != "":
		keys, err := certs.TicketKeys(n.tickets)
		if err != nil {
			return nil, err
		}
		return func(c *tls.Config) { c.SetSessionTicketKeys(keys) }, nil
	}
	return func(*tls.Config) {}, nil
}

// checkClients makes a configuration verify clients.
func (n *tlsNames) checkClients() (tlsChange, error) {
	trusted, err := certs.ReadAuthorities(n.authorities, n.trustSystem)
	if err != nil {
		return nil, err
	}
	check := clients{trusted, n.needsClient}.verify
	return func(c *tls.Config) {
		c.ClientCAs, c.ClientAuth, c.VerifyConnection = trusted.Pool, tls.VerifyClientCertIfGiven, check
	}, nil
}

// tlsFiles are what a listener has read. Before a handshake it looks whether they have changed.
type tlsFiles struct {
	transport *engine.Transport
	owner     engine.Owner // hears of files that cannot be used

	mu    sync.Mutex // a change at a time
	names tlsNames
	seen  [tlsParts]certs.Stamp
}

// renewEvery is the least time between two looks at a listener's files; a test shortens it.
var renewEvery = time.Second

// serveTLS gives a listener's transport its configuration. EINVAL: a file is missing or bad.
func (o *options) serveTLS(t *engine.Transport) error {
	config, err := o.eitherTLS()
	if err != nil {
		return err
	}
	f := &tlsFiles{transport: t, names: o.tlsNames()}
	for p := range tlsParts {
		f.seen[p] = certs.Look(f.names.paths(p))
		change, err := f.names.read(p, true)
		if err != nil {
			return err
		}
		change(config)
	}
	t.SetTLS(config)
	t.Renew, t.RenewEvery = f, renewEvery
	return nil
}

// set puts a change into effect for later handshakes. mu is held.
func (f *tlsFiles) set(change tlsChange) {
	config := f.transport.TLS()
	change(config)
	f.transport.SetTLS(config)
}

// Renew reads those files again that have changed. One that cannot be used changes nothing, and
// monitors hear of it.
func (f *tlsFiles) Renew() {
	if !f.mu.TryLock() { // another goroutine reads them
		return
	}
	defer f.mu.Unlock()
	for p := range tlsParts {
		now := certs.Look(f.names.paths(p))
		if now.Same(f.seen[p]) {
			continue
		}
		f.seen[p] = now
		change, err := f.names.read(p, false)
		if err != nil {
			f.tell(err)
		}
		if change != nil {
			f.set(change)
		}
	}
}

func (f *tlsFiles) tell(err error) {
	if f.owner.Observed() {
		f.owner.Observe(engine.Event{Kind: engine.EventAcceptFailed, Value: uint64(errno.Of(err)),
			Local: f.transport.Endpoint.String(), Detail: errno.Detail(err)})
	}
}

// readCertificate is certs.Certificate; a test slows it down.
var readCertificate = certs.Certificate

// reloadTLS gives existing listeners what an option names now. The old certificate stays
// until the new certificate and the new key fit together. Only listeners with authorities get
// new ones. EINVAL: a file cannot be used; nothing changes.
func (k *Socket) reloadTLS(opt sockets.Option) error {
	part, is := partOf[opt]
	secure := k.secureListeners()
	if !is || len(secure) == 0 {
		return nil
	}
	// Without the socket's lock, because a slow disk must not stop the io threads.
	if fits, err := k.opt.ownFits(opt); !fits {
		return err
	}
	next := k.opt.tlsNames()
	changes := make([]func(), 0, len(secure))
	for _, f := range secure {
		f.mu.Lock()
		defer f.mu.Unlock()
		names := f.names
		if !names.take(opt, &next) {
			continue
		}
		seen := certs.Look(names.paths(part))
		change, err := names.read(part, true)
		if err != nil {
			return err
		}
		changes = append(changes, func() {
			f.set(change) // tells names
			f.names, f.seen[part] = names, seen
		})
	}
	for _, change := range changes {
		change()
	}
	return nil
}

// ownFits reports whether the own certificate and key can be used. The file of opt must be
// readable; if the other one does not fit, it is to follow, and there is no error.
func (o *options) ownFits(opt sockets.Option) (fits bool, err error) {
	switch opt {
	case sockets.OptTLSCert:
		_, err = readCertificate(o.strings[sockets.OptTLSCert])
	case sockets.OptTLSKey:
		_, err = certs.Key(o.strings[sockets.OptTLSKey], o.strings[sockets.OptTLSPassword])
	default:
		return true, nil
	}
	if err != nil {
		return false, err
	}
	_, wrong := o.keyPair()
	return wrong == nil, nil
}

// take changes what an option names. It reports whether the listener takes that.
func (n *tlsNames) take(opt sockets.Option, from *tlsNames) bool {
	switch opt {
	case sockets.OptTLSCerts:
		n.own.Named, n.own.Password = from.own.Named, from.own.Password
	case sockets.OptTLSOCSP:
		n.own.Staples = from.own.Staples
	case sockets.OptTLSCA:
		if from.authorities == "" || !n.verifies() {
			return false
		}
		n.authorities, n.trustSystem, n.needsClient = from.authorities, from.trustSystem, from.needsClient
	case sockets.OptTLSTicketKeys:
		n.tickets = from.tickets
		return n.tickets != ""
	default:
		n.own.Cert, n.own.Key, n.own.Password = from.own.Cert, from.own.Key, from.own.Password
	}
	return true
}

// secureListeners returns the files of the listeners with TLS.
func (k *Socket) secureListeners() (secure []*tlsFiles) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.listeners {
		if f, has := l.Transport().Renew.(*tlsFiles); has {
			secure = append(secure, f)
		}
	}
	return secure
}
