// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

func get(k *Socket, opt sockets.Option) (string, error) {
	buf := make([]byte, 64<<10)
	n, err := k.Option(opt, buf)
	return string(buf[:n]), err
}

func TestIntOptions(t *testing.T) {
	const big = math.MaxInt32
	cases := []struct {
		name      string
		opt       sockets.Option
		dflt      int
		good, bad []int
	}{
		{"SNDBUF", 11, -1, []int{-1, 0, 1, 1 << 20, big}, []int{-2, math.MinInt32}},
		{"RCVBUF", 12, -1, []int{-1, 0, 1, 1 << 20, big}, []int{-2, math.MinInt32}},
		{"LINGER", 17, -1, []int{-1, 0, 1, big}, []int{-2, math.MinInt32}},
		{"RECONNECT_IVL", 18, 100, []int{-1, 0, 1, big}, []int{-2}},
		{"BACKLOG", 19, 65536, []int{0, 1, big}, []int{-1}},
		{"RECONNECT_IVL_MAX", 21, 0, []int{0, 1, big}, []int{-1}},
		{"SNDHWM", 23, 300_000, []int{0, 1, big}, []int{-1}},
		{"RCVHWM", 24, 300_000, []int{0, 1, big}, []int{-1}},
		{"RCVTIMEO", 27, -1, []int{-1, 0, 1, big}, []int{-2}},
		{"SNDTIMEO", 28, -1, []int{-1, 0, 1, big}, []int{-2}},
		{"TCP_KEEPALIVE", 34, -1, []int{-1, 0, 1}, []int{-2, 2}},
		{"TCP_KEEPALIVE_CNT", 35, -1, []int{-1, 0, 1, big}, []int{-2}},
		{"TCP_KEEPALIVE_IDLE", 36, -1, []int{-1, 0, 1, big}, []int{-2}},
		{"TCP_KEEPALIVE_INTVL", 37, -1, []int{-1, 0, 1, big}, []int{-2}},
		{"IMMEDIATE", 39, 0, []int{0, 1}, []int{-1, 2}},
		{"IPV6", 42, 0, []int{0, 1}, []int{-1, 2}},
		{"TOS", 57, 0, []int{0, 1, 255, big}, []int{-1}},
		{"HANDSHAKE_IVL", 66, 30_000, []int{0, 1, big}, []int{-1}},
		{"CONNECT_TIMEOUT", 79, 0, []int{0, 1, big}, []int{-1}},
		{"TCP_MAXRT", 80, 0, []int{0, 1, big}, []int{-1}},
		{"USE_FD", 89, -1, []int{-1, 0, 7, big}, []int{-2}},
		{"TLS_VERIFY", 98, 1, []int{0, 1}, []int{-1, 2}},
		{"TLS_REQUIRE_CLIENT_CERT", 99, 0, []int{0, 1}, []int{-1, 2}},
		{"TLS_TRUST_SYSTEM", 101, 1, []int{0, 1}, []int{-1, 2}},
		{"CLOSE_TIMEOUT", 301, 10_000, []int{-1, 0, 1, big}, []int{-2}},
		{"HEARTBEAT_IVL", 75, 0, []int{0, 1, big}, []int{-1}},
		{"HEARTBEAT_TTL", 76, 0, []int{0, 1, 6_553_599}, []int{-1, 6_553_600}},
		{"HEARTBEAT_TIMEOUT", 77, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_IDLE_TIMEOUT", 312, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_FIRST_MESSAGE_TIMEOUT", 313, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_MAX_AGE", 314, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_HEADER_MAX", 302, 16384, []int{1024, 65536}, []int{-1, 0, 1023, 65537}},
		{"STREAM_RECV_BYTES", 307, 1 << 20, []int{0, 1, big}, []int{-1}},
		{"STREAM_RATE_MESSAGES", 309, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_RATE_BYTES", 310, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_RATE_POLICY", 311, RateWait, []int{RateWait, RateCut}, []int{-1, 2}},
		{"STREAM_PROFILE", 324, ProfilePrivate, []int{ProfilePublic, ProfilePrivate}, []int{-1, 2}},
		{"STREAM_MAX_CONNECTIONS", 315, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_ADDRESS_CONNECTIONS", 316, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_ADDRESS_PREFIX4", 317, 32, []int{0, 24, 32}, []int{-1, 33}},
		{"STREAM_ADDRESS_PREFIX6", 318, 64, []int{0, 48, 128}, []int{-1, 129}},
		{"STREAM_ACCEPT_RATE", 319, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_ADDRESS_ACCEPT_RATE", 320, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_HANDSHAKES", 323, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_ACCEPT_TIMEOUT", 333, 0, []int{0, 1, big}, []int{-1}},
		{"STREAM_PEER_DATA", 335, 0, []int{0, 1}, []int{-1, 2}},
		{"STREAM_PROPERTY_BYTES", 326, 4096, []int{64, 65536}, []int{0, 63, 65537}},
		{"STREAM_TLS_MIN_VERSION", 339, 12, []int{12, 13}, []int{0, 11, 14}},
		{"STREAM_REUSEPORT", 345, 0, []int{0, 1}, []int{-1, 2}},
		{"STREAM_WS_DEFLATE", 332, 0, []int{0, 1}, []int{-1, 2}},
		{"STREAM_FRAMING", 331, FramingLength, []int{FramingMessages, FramingRaw, FramingHeaders}, []int{-1, 4}},
		{"RATE", 8, 100, []int{1, big}, []int{0, -1}},
		{"STREAM_SEND_BYTES", 304, 4 << 20, []int{0, 1, big}, []int{-1}},
		{"STREAM_FULL_POLICY", 306, 0, []int{0, 1, 2, 3}, []int{-1, 4}},
		{"RECOVERY_IVL", 9, 10_000, []int{0, 1, big}, []int{-1}},
		{"MULTICAST_HOPS", 25, 1, []int{1, 255, big}, []int{0, -1}},
		{"CONFLATE", 54, 0, []int{0, 1}, []int{-1, 2}},
		{"INVERT_MATCHING", 74, 0, []int{0, 1}, []int{-1, 2}},
		{"MULTICAST_MAXTPDU", 84, 1500, []int{1, big}, []int{0, -1}},
		{"REQUEST_TIMEOUT", 90, 5000, []int{-1, 0, big}, []int{-2}},
		{"REQUEST_CORRELATE", 91, 1, []int{0, 1}, []int{-1, 2}},
		{"ZMP_METADATA", 117, 0, []int{0, 1}, []int{-1, 2}},
	}
	Convey("There is a case for every int option", t, func() { So(len(cases), ShouldEqual, len(intOptions)) })
	Convey("The int option", t, func() {
		k := newSocketOnly(t, core.NewContext())
		for _, c := range cases {
			Convey(c.name, func() {
				So(getInt(t, k, c.opt), ShouldEqual, c.dflt)
				for _, v := range c.good {
					So(k.SetOption(c.opt, cInt(int32(v))), ShouldBeNil)
					So(getInt(t, k, c.opt), ShouldEqual, v)
				}
				last := c.good[len(c.good)-1]
				for _, v := range c.bad {
					err := k.SetOption(c.opt, cInt(int32(v)))
					So(err, shouldBeErrno, errno.EINVAL)
					So(errno.Detail(err), ShouldContainSubstring, fmt.Sprint(v))
				}
				for _, size := range []int{0, 1, 3, 5, 8} {
					So(k.SetOption(c.opt, make([]byte, size)), shouldBeErrno, errno.EINVAL)
				}
				So(getInt(t, k, c.opt), ShouldEqual, last)
				_, err := k.Option(c.opt, make([]byte, 3))
				So(err, shouldBeErrno, errno.EINVAL)
				wide := []byte("123456789")
				n, err := k.Option(c.opt, wide)
				So(err, ShouldBeNil)
				So(n, ShouldEqual, 4)
				So(string(wide[4:]), ShouldEqual, "\x00\x00\x00\x00\x00")
			})
		}
	})
}

// newSocketOnly returns a socket with the defaults.
func newSocketOnly(t testing.TB, ctx *core.Context) *Socket {
	t.Helper()
	k, err := New(ctx)
	must(t, err, "New")
	t.Cleanup(func() { _ = k.Close() })
	return k
}

func TestStringOptions(t *testing.T) {
	cases := []struct {
		name    string
		opt     sockets.Option
		longest int
	}{
		{"BINDTODEVICE", 92, 16}, {"TLS_CERT", 95, 256}, {"TLS_KEY", 96, 256}, {"TLS_CA", 97, 256},
		{"TLS_HOSTNAME", 100, 256}, {"TLS_PASSWORD", 102, 256}, {"TLS_CIPHERS", 303, 256},
		{"STREAM_TLS_CERTS", 340, 65535}, {"STREAM_TLS_TICKET_KEYS", 337, 256}, {"STREAM_TLS_OCSP", 338, 65535},
		{"STREAM_LISTEN_NAME", 346, 255},
	}
	Convey("There is a case for every text option but those with a form", t, func() { So(len(cases)+9, ShouldEqual, len(stringOptions)) })
	Convey("The text option", t, func() {
		k := newSocketOnly(t, core.NewContext())
		for _, c := range cases {
			Convey(c.name, func() {
				So(first(get(k, c.opt)), ShouldEqual, "\x00")
				long := strings.Repeat("x", c.longest)
				for _, v := range []string{"lo", "lo\x00", long, long + "\x00", ""} {
					So(k.SetOption(c.opt, []byte(v)), ShouldBeNil)
					So(first(get(k, c.opt)), ShouldEqual, strings.TrimSuffix(v, "\x00")+"\x00")
				}
				must(t, k.SetOption(c.opt, []byte("kept")), "set")
				So(k.SetOption(c.opt, []byte(long+"y")), shouldBeErrno, errno.EINVAL)
				So(first(get(k, c.opt)), ShouldEqual, "kept\x00")
				_, err := k.Option(c.opt, make([]byte, 4))
				So(err, shouldBeErrno, errno.EINVAL)
			})
		}
	})
}

func first(text string, err error) string {
	So(err, ShouldBeNil)
	return text
}

func TestOtherOptions(t *testing.T) {
	Convey("The option", t, func() {
		k := newSocketOnly(t, core.NewContext())
		eight := func(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

		Convey("MAXMSGSIZE takes any int64", func() {
			So(first(get(k, sockets.OptMaxMsgSize)), ShouldEqual, string(eight(math.MaxUint64)))
			for _, v := range []uint64{0, 1, 1 << 40, 1 << 63} {
				So(k.SetOption(sockets.OptMaxMsgSize, eight(v)), ShouldBeNil)
				So(first(get(k, sockets.OptMaxMsgSize)), ShouldEqual, string(eight(v)))
			}
			So(k.SetOption(sockets.OptMaxMsgSize, cInt(1)), shouldBeErrno, errno.EINVAL)
			_, err := k.Option(sockets.OptMaxMsgSize, make([]byte, 7))
			So(err, shouldBeErrno, errno.EINVAL)
		})
		Convey("AFFINITY takes any uint64", func() {
			So(first(get(k, sockets.OptAffinity)), ShouldEqual, string(eight(0)))
			So(k.SetOption(sockets.OptAffinity, eight(math.MaxUint64)), ShouldBeNil)
			So(first(get(k, sockets.OptAffinity)), ShouldEqual, string(eight(math.MaxUint64)))
			So(k.SetOption(sockets.OptAffinity, cInt(1)), shouldBeErrno, errno.EINVAL)
		})
		Convey("ROUTING_ID takes 1 to 255 bytes, which are stored", func() {
			So(first(get(k, sockets.OptRoutingID)), ShouldEqual, "")
			for _, v := range []string{"a", "\x00", strings.Repeat("x", 255)} {
				So(k.SetOption(sockets.OptRoutingID, []byte(v)), ShouldBeNil)
				So(first(get(k, sockets.OptRoutingID)), ShouldEqual, v)
			}
			So(k.SetOption(sockets.OptRoutingID, nil), shouldBeErrno, errno.EINVAL)
			So(k.SetOption(sockets.OptRoutingID, make([]byte, 256)), shouldBeErrno, errno.EINVAL)
			_, err := k.Option(sockets.OptRoutingID, make([]byte, 254))
			So(err, shouldBeErrno, errno.EINVAL)
		})
		Convey("CONNECT_ROUTING_ID takes 1 to 255 bytes and cannot be read", func() {
			So(k.SetOption(sockets.OptConnectRoutingID, []byte("a")), ShouldBeNil)
			So(k.SetOption(sockets.OptConnectRoutingID, nil), shouldBeErrno, errno.EINVAL)
			So(k.SetOption(sockets.OptConnectRoutingID, make([]byte, 256)), shouldBeErrno, errno.EINVAL)
			_, err := get(k, sockets.OptConnectRoutingID)
			So(err, shouldBeErrno, errno.EINVAL)
		})
		Convey("TYPE, RCVMORE, FD, EVENTS and LAST_ENDPOINT can only be read", func() {
			So(getInt(t, k, sockets.OptType), ShouldEqual, 11)
			So(getInt(t, k, sockets.OptRcvMore), ShouldEqual, 0)
			So(getInt(t, k, sockets.OptFd), ShouldBeGreaterThan, 2)
			So(getInt(t, k, sockets.OptEvents), ShouldEqual, sockets.PollOut)
			So(first(get(k, sockets.OptLastEndpoint)), ShouldEqual, "\x00")
			for _, opt := range []sockets.Option{sockets.OptType, sockets.OptRcvMore, sockets.OptFd, sockets.OptEvents, sockets.OptLastEndpoint} {
				So(k.SetOption(opt, cInt(1)), shouldBeErrno, errno.EINVAL)
			}
		})
		Convey("that is unknown is EINVAL", func() {
			for _, opt := range []sockets.Option{0, 1, 6, 7, 33, 60, 94, 150, 9999, -1} {
				So(k.SetOption(opt, cInt(1)), shouldBeErrno, errno.EINVAL)
				_, err := get(k, opt)
				So(err, shouldBeErrno, errno.EINVAL)
				So(errno.Detail(err), ShouldContainSubstring, fmt.Sprint(int(opt)))
			}
		})
	})
	Convey("The context decides the defaults of LINGER and IPV6", t, func() {
		k := newSocketOnly(t, newContext(t, core.OptBlocky, 0, core.OptIPv6, 1))
		So(getInt(t, k, sockets.OptLinger), ShouldEqual, 0)
		So(getInt(t, k, sockets.OptIPv6), ShouldEqual, 1)
	})
}

func TestUseFd(t *testing.T) {
	Convey("USE_FD is taken by the next bind, once", t, func() {
		k := newSocket(t, newContext(t))
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err, "Listen")
		file, err := l.(*net.TCPListener).File()
		must(t, err, "File")
		addr := l.Addr().String()
		must(t, l.Close(), "Close")
		fd, err := unix.Dup(int(file.Fd())) // the socket's own from now on
		must(t, err, "dup")
		must(t, file.Close(), "Close")
		set(t, k, sockets.OptUseFd, fd)
		So(k.Bind("tcp://127.0.0.1:*"), ShouldBeNil)
		So(lastEndpoint(t, k), ShouldEqual, "tcp://"+addr)
		So(getInt(t, k, sockets.OptUseFd), ShouldEqual, -1)
		p, id := accept(t, k, "tcp://"+addr)
		p.send("x")
		So(want(t, k, "x"), ShouldEqual, id)
		So(k.Close(), ShouldBeNil)
	})
	Convey("USE_FD that does not listen is refused", t, func() {
		k := newSocket(t, newContext(t))
		for _, fd := range []int{0, 19_999} {
			set(t, k, sockets.OptUseFd, fd)
			So(k.Bind("tcp://127.0.0.1:*") != nil, ShouldBeTrue)
			So(getInt(t, k, sockets.OptUseFd), ShouldEqual, fd)
		}
	})
}
