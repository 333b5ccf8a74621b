// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// This file adds layers and transports. All that is needed for that is here, and the
// tests of what two sockets do run over them.

func init() {
	const scrambled, doubled, line = endpoint.Layer("scrambled"), endpoint.Layer("doubled"), endpoint.Layer("line")
	engine.RegisterLayer(scrambled, &engine.LayerKind{Shake: shakeScrambled})
	engine.RegisterLayer(doubled, &engine.LayerKind{Shake: shakeDoubled})
	engine.RegisterLayer(line, &engine.LayerKind{Shake: shakeLine, PeerFirst: true, Readdresses: true})
	for name, layers := range map[string][]endpoint.Layer{
		"scrambled":          {scrambled},
		"scrambled+tls":      {scrambled, endpoint.LayerTLS},
		"line":               {line},
		"tls+line+scrambled": {endpoint.LayerTLS, line, scrambled},
		"line+wss":           {line, endpoint.LayerTLS, endpoint.LayerWeb},
		"four":               {scrambled, doubled, endpoint.LayerTLS, doubled},
	} {
		kind := endpoint.HostPort
		if slices.Contains(layers, endpoint.LayerWeb) {
			kind = endpoint.Resource
		}
		endpoint.Register(&endpoint.Scheme{Name: name, Address: kind, Layers: layers})
		addedTransports = append(addedTransports, name+"://127.0.0.1:*")
	}
}

// scrambledLayer changes every byte, each in another way.
type scrambledLayer struct {
	engine.Plain
	in, out byte
	limit   uint64 // of one call: few bytes at first, fewer than those of a handshake above
}

func shakeScrambled(engine.Level, *engine.Greeting) (engine.Layer, error) {
	return &scrambledLayer{}, nil
}

func scramble(part []byte, key *byte) {
	for i := range part {
		part[i] ^= *key
		*key = *key*5 + 1
	}
}

func (s *scrambledLayer) Decode(below engine.Level, buf []byte) (int, error) {
	n, err := below.Read(buf)
	scramble(buf[:n], &s.in)
	return n, err
}

func (s *scrambledLayer) Seal(dst []byte, above engine.Source) []byte {
	from := len(dst)
	s.limit = min(2*s.limit+100, 10_000)
	dst = above.Gather(dst, s.limit)
	scramble(dst[from:], &s.out)
	return dst
}

// doubledLayer writes two digits for a byte, and a line at the end.
type doubledLayer struct {
	engine.Plain
	half byte // that has come of a byte; 0: none
}

func shakeDoubled(engine.Level, *engine.Greeting) (engine.Layer, error) { return &doubledLayer{}, nil }

func (d *doubledLayer) Decode(below engine.Level, buf []byte) (n int, err error) {
	got, err := below.Read(buf)
	for _, digit := range buf[:got] {
		switch {
		case digit == '\n': // the peer has closed
		case d.half == 0:
			d.half = digit
		default:
			if _, bad := hex.Decode(buf[n:], []byte{d.half, digit}); bad != nil {
				return n, bad
			}
			d.half = 0
			n++
		}
	}
	return n, err
}

func (d *doubledLayer) Seal(dst []byte, above engine.Source) []byte {
	return hex.AppendEncode(dst, above.Bytes(20_000))
}

func (d *doubledLayer) Close(dst []byte) []byte { return append(dst, '\n') }

const told = "203.0.113.7:4711" // where a peer says that it comes from

// shakeLine takes or writes a line with the peer's address, and leaves.
func shakeLine(below engine.Level, g *engine.Greeting) (engine.Layer, error) {
	if g.Dialled {
		_, err := below.Write([]byte("from " + told + "\n"))
		return nil, err
	}
	var head []byte
	for buf := make([]byte, 32); ; {
		n, err := below.Read(buf)
		if err != nil {
			return nil, err
		}
		head = append(head, buf[:n]...)
		if end := bytes.IndexByte(head, '\n'); end >= 0 {
			addr, err := netip.ParseAddrPort(strings.TrimPrefix(string(head[:end]), "from "))
			if err != nil {
				return nil, errno.New(errno.EINVAL, "the line %q has no address", head[:end])
			}
			g.Remote = engine.Address{AddrPort: addr}
			below.Unread(head[end+1:])
			return nil, nil
		}
	}
}

func TestScrambledFragments(t *testing.T) {
	Convey("A layer gets the stream in pieces of any size", t, func() {
		k := newSocket(t, newContext(t))
		must(t, k.Bind("scrambled://127.0.0.1:*"), "Bind")
		p := dial(t, "tcp"+strings.TrimPrefix(lastEndpoint(t, k), "scrambled"))
		id := want(t, k, connected)
		bodies, all := []string{"", "first", pattern(70_000, 1), "last"}, []byte(nil)
		for _, body := range bodies {
			all = append(all, frame(body)...)
		}
		scramble(all, new(byte))
		for i, size := 0, 1; i < len(all); i, size = i+size, size+size/3+1 {
			p.write(all[i:min(i+size, len(all))])
		}
		for _, body := range bodies {
			So(want(t, k, body), ShouldEqual, id)
		}
		mustSend(t, k, id, disconnected)
		p.wantEnd()
		So(want(t, k, disconnected), ShouldEqual, id)
	})
}

func TestLayerThatLeaves(t *testing.T) {
	Convey("A layer that leaves after its handshake", t, func() {
		k := newSocket(t, newContext(t))
		m, err := k.Monitor(0xFFFF)
		So(err, ShouldBeNil)
		Reset(func() { _ = m.Close() })
		must(t, k.Bind("line://127.0.0.1:*"), "Bind")
		p := dial(t, "tcp"+strings.TrimPrefix(lastEndpoint(t, k), "line"))
		all := slices.Concat([]byte("from "+told+"\n"), frame("first"), frame(""), frame(pattern(60, 1)))
		event := func() string {
			e, err := m.Recv(false)
			So(err, ShouldBeNil)
			return fmt.Sprintf("%#x %s", uint64(e.Kind), e.Remote)
		}
		receiveAll := func() {
			id := want(t, k, connected)
			So(want(t, k, "first"), ShouldEqual, id)
			So(want(t, k, ""), ShouldEqual, id)
			So(want(t, k, pattern(60, 1)), ShouldEqual, id)
			mustSend(t, k, id, "answer")
			p.want("answer")
		}

		Convey("loses nothing of what came behind it in one piece", func() {
			p.write(all)
			receiveAll()
		})
		Convey("or byte by byte", func() {
			for _, b := range all {
				p.write([]byte{b})
			}
			receiveAll()
		})
		Convey("or in front of the end", func() {
			p.write(all)
			must(t, p.Close(), "close")
			id := want(t, k, connected)
			want(t, k, "first")
			want(t, k, "")
			want(t, k, pattern(60, 1))
			So(want(t, k, disconnected), ShouldEqual, id)
		})
		Convey("or above RCVHWM, and ends like a connection of tcp", func() {
			set(t, k, sockets.OptRcvHwm, 1)
			must(t, k.Bind("line://127.0.0.1:*"), "Bind")
			p = dial(t, "tcp"+strings.TrimPrefix(lastEndpoint(t, k), "line"))
			p.write(all)
			receiveAll()
		})
		Convey("changes the peer's address before anybody hears of it", func() {
			So(event(), ShouldStartWith, "0x8 ")
			p.write(all[:5])
			p.write(all[5:])
			receiveAll()
			So(event(), ShouldEqual, fmt.Sprintf("%#x line://%s", uint64(engine.EventAccepted), told))
			So(event(), ShouldEqual, fmt.Sprintf("%#x line://%s", uint64(engine.EventReady), told))
			peers, err := k.Peers(-1)
			So(err, ShouldBeNil)
			So(peers[0].Remote, ShouldEqual, "line://"+told)
		})
		Convey("is heard of with its own address when it fails", func() {
			So(event(), ShouldStartWith, "0x8 ")
			p.write([]byte("from nowhere\n"))
			own := "line://" + p.LocalAddr().String()
			for _, kind := range []engine.EventKind{engine.EventAccepted, engine.EventHandshakeFailed, engine.EventDisconnected} {
				So(event(), ShouldEqual, fmt.Sprintf("%#x %s", uint64(kind), own))
			}
			p.wantEnd()
		})
	})
}
