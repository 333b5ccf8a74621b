// SPDX-License-Identifier: MPL-2.0

package natswire

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// A greeted is a connection that a server has accepted.
type greeted struct {
	conn  net.Conn
	url   string
	info  info
	ahead []byte // what has come already
}

// An info is what a server says of itself.
type info struct {
	Headers      bool   `json:"headers"`
	TLSRequired  bool   `json:"tls_required"`
	TLSAvailable bool   `json:"tls_available"`
	MaxPayload   int64  `json:"max_payload"`
	Nonce        string `json:"nonce"`
}

// A hello is what a client says of itself.
type hello struct {
	Verbose      bool   `json:"verbose"`
	Pedantic     bool   `json:"pedantic"`
	JWT          string `json:"jwt,omitempty"`
	NKey         string `json:"nkey,omitempty"`
	Signature    string `json:"sig,omitempty"`
	User         string `json:"user,omitempty"`
	Password     string `json:"pass,omitempty"`
	Token        string `json:"auth_token,omitempty"`
	TLS          bool   `json:"tls_required"`
	Name         string `json:"name"`
	Lang         string `json:"lang"`
	Version      string `json:"version"`
	Protocol     int    `json:"protocol"`
	Echo         bool   `json:"echo"`
	Headers      bool   `json:"headers"`
	NoResponders bool   `json:"no_responders"`
}

func (c *Conn) greetInside() (*greeted, error) {
	conn, err := c.c.Options.InProcessServer.InProcessConn()
	if err != nil {
		return nil, err
	}
	return c.talk(conn, &url.URL{Scheme: "nats", Host: "in-process"})
}

// greet connects to a server.
func (c *Conn) greet(text string) (*greeted, error) {
	to, err := url.Parse(withScheme(text))
	if err != nil {
		return nil, fmt.Errorf("%s is no URL of NATS", text)
	}
	if to.User == nil { // nats.go lists servers without it
		to.User = c.whoever(to.Host)
	}
	port := to.Port()
	if port == "" {
		port = "4222"
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(to.Hostname(), port), c.c.Options.Timeout)
	if err != nil {
		return nil, err
	}
	g, err := c.talk(conn, to)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", to.Host, err)
	}
	g.url = text
	return g, nil
}

func withScheme(text string) string {
	if strings.Contains(text, "://") {
		return text
	}
	return "nats://" + text
}

// whoever returns the user of this server, or of the first one that has a user.
func (c *Conn) whoever(host string) (user *url.Userinfo) {
	for _, text := range c.c.Options.Servers {
		one, err := url.Parse(withScheme(text))
		switch {
		case err != nil || one.User == nil:
		case one.Host == host:
			return one.User
		case user == nil:
			user = one.User
		}
	}
	return user
}

// talk makes the acquaintance of a server.
func (c *Conn) talk(conn net.Conn, to *url.URL) (*greeted, error) {
	g := &greeted{conn: conn}
	if err := c.meet(g, to); err != nil {
		_ = g.conn.Close()
		return nil, err
	}
	return g, nil
}

func (c *Conn) meet(g *greeted, to *url.URL) (err error) {
	conn := g.conn
	if err = conn.SetDeadline(time.Now().Add(c.c.Options.Timeout)); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	line, err := said(in)
	if err != nil {
		return err
	}
	text, is := bytes.CutPrefix(line, []byte("INFO "))
	if !is || json.Unmarshal(text, &g.info) != nil {
		return errors.New("it is no server of NATS")
	}
	if !g.info.Headers {
		return errors.New("this server of NATS has no headers")
	}
	secure := to.Scheme == "tls" || c.c.Options.Secure || g.info.TLSRequired
	if secure {
		if g.conn, err = c.secure(conn, to, g.info); err != nil {
			return err
		}
		in = bufio.NewReader(g.conn)
	}
	if err = c.introduce(g, to, secure); err != nil {
		return err
	}
	for {
		if line, err = said(in); err != nil {
			return err
		}
		switch {
		case bytes.HasPrefix(line, []byte("PONG")):
			g.ahead, _ = in.Peek(in.Buffered())
			return g.conn.SetDeadline(time.Time{})
		case bytes.HasPrefix(line, []byte("-ERR")):
			return errors.New(strings.Trim(string(line[4:]), " '"))
		}
	}
}

// said reads a line of a server.
func said(in *bufio.Reader) (line []byte, err error) {
	for more := true; more; {
		var part []byte
		part, more, err = in.ReadLine()
		if line = append(line, part...); err != nil || len(line) > lineMost {
			return nil, errors.Join(err, errors.New("NATS said nothing that makes sense"))
		}
	}
	return line, nil
}

func (c *Conn) introduce(g *greeted, to *url.URL, secure bool) error {
	o := &c.c.Options
	h := hello{Name: o.Name, Lang: "go", Version: nats.Version, Protocol: 1, Echo: true, Headers: true, NoResponders: true, TLS: secure,
		User: o.User, Password: o.Password, Token: o.Token, NKey: o.Nkey}
	if user := to.User; user != nil {
		h.User, h.Token, h.NKey = user.Username(), "", ""
		if password, has := user.Password(); has {
			h.Password = password
		} else {
			h.User, h.Token = "", user.Username()
		}
	}
	var err error
	if o.UserJWT != nil {
		if h.JWT, err = o.UserJWT(); err != nil {
			return err
		}
	}
	if h.JWT != "" || h.NKey != "" {
		signature, err := o.SignatureCB([]byte(g.info.Nonce))
		if err != nil {
			return err
		}
		h.Signature = base64.RawURLEncoding.EncodeToString(signature)
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.conn, "CONNECT %s\r\nPING\r\n", text)
	return err
}

// secure makes a connection one of TLS.
func (c *Conn) secure(conn net.Conn, to *url.URL, i info) (net.Conn, error) {
	if !i.TLSRequired && !i.TLSAvailable {
		return conn, errors.New("this server of NATS has no TLS")
	}
	o := &c.c.Options
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLSConfig != nil {
		config = o.TLSConfig.Clone()
	}
	if o.TLSCertCB != nil {
		certificate, err := o.TLSCertCB()
		if err != nil {
			return conn, err
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	if o.RootCAsCB != nil {
		roots, err := o.RootCAsCB()
		if err != nil {
			return conn, err
		}
		config.RootCAs = roots
	}
	if config.ServerName == "" {
		config.ServerName = c.nameOf(to.Hostname())
	}
	secured := tls.Client(conn, config)
	return secured, secured.Handshake()
}

// nameOf returns what a certificate has to say: the host, or, for an address that another server has told of, the name of the first server
// that has one.
func (c *Conn) nameOf(host string) string {
	if net.ParseIP(host) == nil {
		return host
	}
	name := host
	for _, text := range c.c.Options.Servers {
		one, err := url.Parse(withScheme(text))
		switch {
		case err != nil:
		case one.Hostname() == host:
			return host
		case name == host && net.ParseIP(one.Hostname()) == nil:
			name = one.Hostname()
		}
	}
	return name
}
