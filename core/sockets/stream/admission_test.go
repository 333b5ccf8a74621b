// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// from connects from an address of the loopback.
func from(t testing.TB, address, endpoint string) net.Conn {
	t.Helper()
	c, err := tryFrom(address, endpoint)
	must(t, err, "dial %s from %s", endpoint, address)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func tryFrom(address, endpoint string) (net.Conn, error) {
	_, to, _ := strings.Cut(endpoint, "://")
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: patience}
	c, err := d.Dial("tcp", to)
	if err == nil {
		_ = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// isRefused connects from an address, and waits until the server has reset the connection.
func isRefused(address, endpoint string) bool {
	c, err := tryFrom(address, endpoint)
	if err == nil { // else it was so fast that the kernel calls the connect failed
		_, err = c.Read(make([]byte, 1))
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNRESET)
}

// reset closes a connection with a reset.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// refusedEver counts the connections that met a limit.
func (k *Socket) refusedEver() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.past.endedBy[engine.CauseLimit]
}

func (k *Socket) acceptedEver() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.past.accepted
}

// admissionStage is a socket whose refusals a test observes.
type admissionStage struct {
	t *testing.T
	k *Socket
	m *sockets.Monitor
}

func newAdmissionStage(t *testing.T) admissionStage {
	k := newSocket(t, newContext(t))
	m, err := k.Monitor(engine.EventAcceptFailed)
	must(t, err, "Monitor")
	Reset(func() { _ = m.Close() })
	return admissionStage{t, k, m}
}

// kept connects, and the socket keeps the connection.
func (g admissionStage) kept(address, endpoint string) net.Conn {
	c := from(g.t, address, endpoint)
	want(g.t, g.k, connected)
	return c
}

// refused connects in vain, and the monitor says why.
func (g admissionStage) refused(address, endpoint string, code errno.Errno, sentence string) {
	So(isRefused(address, endpoint), ShouldBeTrue)
	e, err := g.m.Recv(false)
	So(err, ShouldBeNil)
	So(e.Value, ShouldEqual, uint64(code))
	So(e.Detail, ShouldEqual, sentence)
	So(e.Local, ShouldEqual, endpoint)
	So(e.Remote, ShouldStartWith, "tcp://"+address+":")
	So(e.Cause, ShouldEqual, engine.CauseLimit)
}

func TestLimitsOfConnections(t *testing.T) {
	Convey("A socket that listens", t, func() {
		g := newAdmissionStage(t)
		k, kept, refused := g.k, g.kept, g.refused

		Convey("keeps as many as STREAM_MAX_CONNECTIONS on all its endpoints, and one more for each that goes", func() {
			set(t, k, sockets.OptMaxConnections, 3)
			one, two := bind(t, k), bind(t, k)
			first := kept("127.0.0.1", one)
			kept("127.0.0.2", two)
			kept("127.0.0.3", two)
			full := "the socket has all its connections (STREAM_MAX_CONNECTIONS)"
			refused("127.0.0.4", one, errno.ECONNREFUSED, full)
			refused("127.0.0.4", two, errno.ECONNREFUSED, full)
			_ = first.Close()
			want(t, k, disconnected)
			kept("127.0.0.4", one)
			refused("127.0.0.4", two, errno.ECONNREFUSED, full)
			set(t, k, sockets.OptMaxConnections, 0)
			kept("127.0.0.4", two)
		})
		Convey("does not count what it has dialled", func() {
			other := newSocket(t, newContext(t))
			set(t, k, sockets.OptMaxConnections, 1)
			must(t, k.Connect(bind(t, other)), "Connect")
			want(t, k, connected)
			kept("127.0.0.1", bind(t, k))
		})
		Convey("keeps as many of one block of addresses as STREAM_ADDRESS_CONNECTIONS", func() {
			set(t, k, sockets.OptAddressConnections, 2)
			set(t, k, sockets.OptAddressPrefix4, 24)
			at := bind(t, k)
			first := kept("127.0.1.1", at)
			kept("127.0.1.2", at)
			full := "the address has all its connections (STREAM_ADDRESS_CONNECTIONS)"
			refused("127.0.1.3", at, errno.ECONNREFUSED, full)
			kept("127.0.2.1", at)
			reset(first)
			want(t, k, disconnected)
			kept("127.0.1.3", at)
			refused("127.0.1.1", at, errno.ECONNREFUSED, full)
		})
		Convey("counts IPv4 peers of an IPv6 descriptor as those of IPv4", func() {
			set(t, k, sockets.OptIPv6, 1)
			set(t, k, sockets.OptAddressConnections, 1)
			if err := k.Bind("tcp://*:*"); err != nil {
				t.Skip(err)
			}
			_, port, _ := strings.Cut(strings.TrimPrefix(lastEndpoint(t, k), "tcp://["), "]:")
			at := "tcp://127.0.0.1:" + port
			kept("127.0.0.1", at)
			kept("127.0.0.2", at)
			So(isRefused("127.0.0.1", at), ShouldBeTrue)
		})
		// A slow machine may need seconds for the next two. So they check what holds at any speed.
		Convey("keeps as many of an address in a second as STREAM_ADDRESS_ACCEPT_RATE, whether they stay or not", func() {
			const rate, tries = 3, 30
			set(t, k, sockets.OptAddressAcceptRate, rate)
			at, began := bind(t, k), time.Now()
			for range tries {
				if c, err := tryFrom("127.0.0.1", at); err == nil {
					reset(c)
				}
			}
			from(t, "127.0.0.2", at)
			eventually(t, "all are accepted or refused", func() bool {
				return k.acceptedEver()+k.refusedEver() == tries+1
			})
			passed := int(time.Since(began)/time.Second) + 1
			So(k.acceptedEver()-1, ShouldBeBetweenOrEqual, rate, rate*(1+passed))
		})
		Convey("accepts as many in a second as STREAM_ACCEPT_RATE, and all of them in the end", func() {
			const rate, tries = 10, 25
			set(t, k, sockets.OptAcceptRate, rate)
			one, two := bind(t, k), bind(t, k)
			began := time.Now()
			for i := range tries {
				from(t, "127.0.0.1", []string{one, two}[i%2])
			}
			for range tries {
				want(t, k, connected)
			}
			So(time.Since(began), ShouldBeGreaterThan, time.Second*(tries-rate-1)/rate)
			So(k.refusedEver(), ShouldEqual, 0)
			set(t, k, sockets.OptAcceptRate, 0)
			kept("127.0.0.1", one)
		})
	})
}

func TestAddressesThatMayConnect(t *testing.T) {
	Convey("A socket that listens", t, func() {
		g := newAdmissionStage(t)
		k, kept, refused := g.k, g.kept, g.refused

		Convey("keeps peers of the addresses in STREAM_ALLOW, without those in STREAM_DENY", func() {
			at := bind(t, k)
			stays := kept("127.0.3.1", at)
			must(t, k.Set(WithAllow("127.0.1.0/24, 127.0.2.1"), WithDeny("127.0.1.7")), "lists")
			kept("127.0.1.1", at)
			kept("127.0.2.1", at)
			refused("127.0.2.2", at, errno.EACCES, "the address is not in STREAM_ALLOW")
			refused("127.0.1.7", at, errno.EACCES, "the address is in STREAM_DENY")
			_, err := stays.Write(frame("still here"))
			So(err, ShouldBeNil)
			want(t, k, "still here")
			for _, list := range []string{"127.0.1.0/24 nonsense", "127.0.1.1/24"} {
				for _, opt := range []sockets.Option{sockets.OptAllow, sockets.OptDeny} {
					before, _ := get(k, opt)
					err := k.SetOption(opt, []byte(list))
					So(err, shouldBeErrno, errno.EINVAL)
					So(errno.Detail(err), ShouldStartWith, "socket option "+opt.String()+" does not take the list: \"")
					after, _ := get(k, opt)
					So(after, ShouldEqual, before)
				}
			}
			refused("127.0.2.2", at, errno.EACCES, "the address is not in STREAM_ALLOW")
			must(t, k.Set(WithAllow(""), WithDeny("")), "lists")
			kept("127.0.1.7", at)
			kept("127.0.2.2", at)
		})
		Convey("takes lists of up to 64 KiB", func() {
			long := strings.Repeat("10.0.0.1,", 64<<10/9)
			So(k.Set(WithDeny(long)), ShouldBeNil)
			So(k.Set(WithDeny(long+strings.Repeat(" ", listMost-len(long)))), ShouldBeNil)
			So(k.Set(WithDeny(long+strings.Repeat(" ", listMost-len(long)+1))), shouldBeErrno, errno.EINVAL)
		})
		Convey("refuses peers of tls without a handshake, and counts those whose handshake runs", func() {
			newIdentity(t, "server").use(t, k)
			set(t, k, sockets.OptMaxConnections, 1)
			must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
			at := lastEndpoint(t, k)
			silent := plain(t, at)
			eventually(t, "the silent one has a place", func() bool { return !k.admission.Idle() })
			So(isRefused("127.0.0.1", at), ShouldBeTrue)
			_, _ = silent.Write([]byte("nonsense of a kind"))
			_, _ = silent.Read(make([]byte, 100))
			_ = silent.Close()
			eventually(t, "it has given its place back", k.admission.Idle)
		})
		Convey("does not apply addresses to ipc, which has none", func() {
			must(t, k.Set(WithDeny("0.0.0.0/0 ::/0"), WithAllow("192.0.2.1"), WithAddressConnections(1), WithAddressAcceptRate(1), WithMaxConnections(2)), "settings")
			must(t, k.Bind("ipc://@zlink-admission-"+fmt.Sprint(time.Now().UnixNano())), "Bind")
			client := newSocket(t, newContext(t))
			set(t, client, sockets.OptReconnectIvl, -1)
			for range 2 {
				must(t, client.Connect(lastEndpoint(t, k)), "Connect")
				want(t, k, connected)
			}
			must(t, client.Connect(lastEndpoint(t, k)), "Connect")
			e, err := g.m.Recv(false)
			So(err, ShouldBeNil)
			So(e.Value, ShouldEqual, uint64(errno.ECONNREFUSED))
		})
	})
}

func TestPlacesComeBack(t *testing.T) {
	Convey("A place comes back", t, func() {
		k := newSocket(t, newContext(t))
		newIdentity(t, "server").use(t, k)
		must(t, k.Set(WithAddressConnections(100), WithAddressAcceptRate(100_000), WithHandshakeTimeout(0)), "settings")
		idle := func() { eventually(t, "no place is taken", k.admission.Idle) }
		at := bind(t, k)
		must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
		secure := lastEndpoint(t, k)

		Convey("when the peer closes, resets, is closed or is aborted", func() {
			for i := range 4 {
				c := from(t, "127.0.0.1", at)
				id := want(t, k, connected)
				So(k.admission.Idle(), ShouldBeFalse)
				switch i {
				case 0:
					_ = c.Close()
				case 1:
					reset(c)
				case 2:
					mustSend(t, k, id, disconnected)
					_ = c.Close()
				case 3:
					must(t, k.AbortPeer(binary.BigEndian.Uint32([]byte(id))), "AbortPeer")
				}
				want(t, k, disconnected)
				idle()
			}
		})
		Convey("when a handshake fails, is given up, or takes too long", func() {
			c := plain(t, secure)
			_, _ = c.Write([]byte("this is no hello, and it is long enough"))
			_, _ = c.Read(make([]byte, 100))
			_ = c.Close()
			idle()
			c = plain(t, secure)
			eventually(t, "it has a place", func() bool { return !k.admission.Idle() })
			reset(c)
			idle()
			c = plain(t, secure)
			_, _ = c.Write([]byte{22, 3, 1})
			eventually(t, "it has a place", func() bool { return !k.admission.Idle() })
			reset(c)
			idle()
			must(t, k.Set(WithHandshakeTimeout(10*time.Millisecond)), "settings")
			must(t, k.Bind("tls://127.0.0.1:*"), "Bind")
			plain(t, lastEndpoint(t, k))
			eventually(t, "it has come", func() bool { return k.admission.Memory() > 0 })
			idle()
		})
		Convey("when the socket is closed, with connections, handshakes and some that wait to be accepted", func() {
			for range 20 {
				from(t, "127.0.0.1", at)
				plain(t, secure)
			}
			must(t, k.Unbind(at), "Unbind")
			set(t, k, sockets.OptLinger, 0)
			within(t, patience, "Shutdown", func() { _ = k.Shutdown(t.Context()) })
			So(k.admission.Idle(), ShouldBeTrue)
		})
	})
}

// TestAdmissionStress has thousands connect and vanish while the lists and limits change.
func TestAdmissionStress(t *testing.T) {
	const clients, rounds = 16, 150
	Convey("After thousands that came and vanished on several io threads, while lists and limits changed, no place is taken", t, func() {
		k := newSocket(t, newContext(t, core.OptIOThreads, 4))
		set(t, k, sockets.OptMode, ModeFast)
		setInt64(t, k, sockets.OptAffinity, 15)
		newIdentity(t, "server").use(t, k)
		must(t, k.Set(WithAddressConnections(5), WithLinger(0)), "settings")
		endpoints := []string{bind(t, k), bind(t, k)}
		for _, transport := range []string{"tls", "ws"} {
			must(t, k.Bind(transport+"://127.0.0.1:*"), "Bind")
			endpoints = append(endpoints, lastEndpoint(t, k))
		}
		var over atomic.Bool
		var others, all sync.WaitGroup
		others.Go(func() {
			for err := error(nil); err == nil; {
				_, err = k.Recv(t.Context())
			}
		})
		others.Go(func() {
			for i := 0; !over.Load(); i++ {
				list := []string{"", "127.0.0.0/8", "127.0.0.2", "127.0.0.3 127.0.0.5/32"}[i%4]
				_ = k.Set(WithDeny(list), WithMaxConnections([]int{0, 10, 3}[i%3]), WithAddressPrefix([]int{32, 30, 8}[i%3], 64),
					WithAddressAcceptRate([]int{0, 200, 5}[i%3]), WithAcceptRate([]int{0, 3000}[i%2]))
			}
			_ = k.Set(WithAcceptRate(0))
		})
		for n := range clients {
			all.Go(func() {
				for i := range rounds {
					c, err := tryFrom(fmt.Sprintf("127.0.0.%d", 1+(n+i)%7), endpoints[(n+i)%len(endpoints)])
					if err != nil {
						continue
					}
					if i%3 == 0 {
						_, _ = c.Write([]byte{22, 3, 1, 0, 200, 1, 0, 0})
					}
					if i%5 == 0 {
						time.Sleep(time.Millisecond)
					}
					if i%2 == 0 {
						reset(c)
					} else {
						_ = c.Close()
					}
				}
			})
		}
		all.Wait()
		over.Store(true)
		eventually(t, "no place is taken", k.admission.Idle)
		within(t, patience, "Shutdown", func() { _ = k.Shutdown(t.Context()) })
		others.Wait()
		So(k.admission.Idle(), ShouldBeTrue)
	})
}
