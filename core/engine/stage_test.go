// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/sys"
)

// stage is a shard that a test drives round by round, with connections whose peers
// are descriptors of the test. So what a round does is a matter of counting.
type stage struct {
	t         *testing.T
	sh        *Shard
	owner     *ownerStub
	deadlines Deadlines // of connections that come
}

func newStage(t *testing.T) *stage {
	sh, o := driven(t)
	sh.handOver = nil
	return &stage{t: t, sh: sh, owner: o}
}

// step does one round without a wait.
func (g *stage) step() { _ = g.sh.step(nil, false, time.Time{}) }

// kernelBytes is the most that a descriptor of a pair is asked to hold.
const kernelBytes = 208 << 10

func (g *stage) pair() (ours, theirs int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, fd := range fds {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, kernelBytes) // the kernel doubles it
	}
	Reset(func() { _ = unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// connect makes a connection over a pair, with the link that shake made of it.
func (g *stage) connect(fd int, transport *Transport, l *link) *Conn {
	from := newOrigin(g.owner, transport, Limits{MaxMsgSize: -1, Deadlines: g.deadlines}, nil)
	g.sh.conns.Add(1)
	c := g.sh.adopt(arrival{origin: &from, fd: fd, announced: l != nil}, l)
	if c == nil {
		g.t.Fatal("no connection")
	}
	return c
}

// plain makes a connection of tcp, and returns its peer's descriptor.
func (g *stage) plain() (*Conn, int) {
	ours, theirs := g.pair()
	return g.connect(ours, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}}, nil), theirs
}

// linked makes a connection with a link. It makes only the TLS handshake; a nil tlsPeer
// means that the connection is not encrypted.
func (g *stage) linked(secure, web bool) (*Conn, int, *tlsPeer) {
	ours, theirs := g.pair()
	transport := &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.WSS}}
	l, peer := &link{shaking: newFdConn(ours)}, (*tlsPeer)(nil)
	l.shaking.gate = g.sh.gate
	if secure {
		transport.SetTLS(&tls.Config{Certificates: []tls.Certificate{certificate(g.t)},
			MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true})
		done := make(chan error)
		go func(conn *fdConn) {
			conn.gate.compute()
			err := l.shake(&layerTLS, &Greeting{Transport: transport})
			conn.gate.rest()
			done <- err
		}(l.shaking)
		go func(conn *fdConn) {
			for range 2 * patience / time.Millisecond { // in the place of the driver's reports
				time.Sleep(time.Millisecond)
				conn.signal()
			}
		}(l.shaking)
		peer = dialTLS(g.t, theirs)
		if err := <-done; err != nil {
			g.t.Fatal(err)
		}
	}
	if web {
		l.layers = append(l.layers, placed{Layer: &webSocket{}})
	}
	l.settle()
	return g.connect(ours, transport, l), theirs, peer
}

// flood is a peer that never stops.
type flood struct {
	fd   int
	next func() []byte // the next bytes; they are long
	rest []byte
}

// offer writes as much as the kernel takes, and goes on where it was.
func (f *flood) offer() {
	for {
		if len(f.rest) == 0 {
			f.rest = f.next()
		}
		n, e := sys.Send(f.fd, f.rest[:min(len(f.rest), 4096)])
		if e != 0 {
			return
		}
		f.rest = f.rest[n:]
	}
}

// unread is how many bytes a descriptor has to read.
func unread(fd int) int {
	n, _ := unix.IoctlGetInt(fd, unix.TIOCINQ)
	return n
}

// swallow reads everything that a descriptor has.
func swallow(fd int) (total int) {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		if n <= 0 || err != nil {
			return total
		}
		total += n
	}
}

func certificate(t testing.TB) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsPeer seals records as a client after its handshake may: of any size, and
// changes of keys between them, which crypto/tls does not send.
type tlsPeer struct {
	secret, iv []byte
	secrets    [][]byte // ever
	aead       cipher.AEAD
	seq        uint64
	in         tlsFlow // of the other side
	unopened   []byte
}

// dialTLS makes the client's handshake over a descriptor that stays the test's.
func dialTLS(t testing.TB, fd int) *tlsPeer {
	var log strings.Builder
	copied, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(copied), "peer")
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	defer conn.Close()
	client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: &log})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if client.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("SKIP: crypto/tls prefers another cipher than AES-128 on this processor")
	}
	secrets := map[string][]byte{}
	for _, line := range strings.Split(log.String(), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 {
			secrets[fields[0]], _ = hex.DecodeString(fields[2])
		}
	}
	p := &tlsPeer{}
	p.rekey(secrets["CLIENT_TRAFFIC_SECRET_0"])
	if err := p.in.start(tlsSuites[tls.TLS_AES_128_GCM_SHA256], secrets["SERVER_TRAFFIC_SECRET_0"]); err != nil {
		t.Fatal(err)
	}
	return p
}

// opened returns what the other side has sent: the content of records with data, and the last
// record that had none.
func (p *tlsPeer) opened(t testing.TB, fd int) (data, other []byte) {
	buf := make([]byte, 64<<10)
	for {
		n, _ := unix.Read(fd, buf)
		p.unopened = append(p.unopened, buf[:max(0, n)]...)
		record, ok := wholeRecord(p.unopened)
		if !ok {
			t.Fatal("a record is too long")
		}
		if record == nil {
			return data, other
		}
		kind, content, ok := p.in.open(record, nil)
		switch {
		case !ok:
			t.Fatal("a record is not authentic")
		case kind == recordData:
			data = append(data, content...)
		default:
			other = append([]byte(nil), content...)
		}
		if kind == recordHandshake {
			_ = p.in.change()
		}
		p.unopened = p.unopened[len(record):]
	}
}

// expand is HKDF-Expand-Label of RFC 8446, 7.1.
func expand(secret []byte, label string, size int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "+label...), 0)
	out, err := hkdf.Expand(sha256.New, secret, string(info), size)
	if err != nil {
		panic(err)
	}
	return out
}

func (p *tlsPeer) rekey(secret []byte) {
	block, err := aes.NewCipher(expand(secret, "key", 16))
	if err == nil {
		p.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		panic(err)
	}
	p.secret, p.iv, p.seq = secret, expand(secret, "iv", 12), 0
	p.secrets = append(p.secrets, secret)
}

func (p *tlsPeer) record(kind byte, data []byte) []byte {
	header := []byte{23, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(data)+1+p.aead.Overhead()))
	nonce := append([]byte(nil), p.iv...)
	for i := range 8 {
		nonce[11-i] ^= byte(p.seq >> (8 * i))
	}
	p.seq++
	return p.aead.Seal(header, nonce, append(append([]byte(nil), data...), kind), header[:5:5])
}

// records seals data in records of size bytes.
func (p *tlsPeer) records(data []byte, size int) (wire []byte) {
	for len(data) > 0 {
		part := data[:min(size, len(data))]
		data = data[len(part):]
		wire = append(wire, p.record(23, part)...)
	}
	return wire
}

// keyUpdate changes the keys, and asks for the same when answer is set.
func (p *tlsPeer) keyUpdate(answer bool) []byte {
	message := []byte{24, 0, 0, 1, 0}
	if answer {
		message[4] = 1
	}
	wire := p.record(22, message)
	p.rekey(expand(p.secret, "traffic upd", 32))
	return wire
}

var noTime time.Time

// watchdog waits until the condition holds.
func watchdog(t testing.TB, what string, holds func() bool) {
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 10 s: " + what)
		}
	}
}
