// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"time"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/sockets"
)

// Setting is an option of a socket for Listen, Dial, Open and Set. doc/options.md
// has defaults and ranges.
type Setting struct {
	apply   func(*Socket) error
	context *core.Context
}

// InContext puts the socket into a context of the caller's, with its own io
// threads and limits, which the caller ends with Term. Without it sockets share
// core.Default. It has no effect in Set.
func InContext(c *core.Context) Setting { return Setting{context: c} }

func intSetting(opt sockets.Option, v int) Setting {
	return Setting{apply: func(k *Socket) error {
		if v != int(int32(v)) {
			return sockets.BadOption(opt, "does not take the value %d", v)
		}
		return k.SetOption(opt, cInt(int32(v)))
	}}
}

func boolSetting(opt sockets.Option, on bool) Setting {
	if on {
		return intSetting(opt, 1)
	}
	return intSetting(opt, 0)
}

func textSetting(opt sockets.Option, text string) Setting {
	return Setting{apply: func(k *Socket) error { return k.SetOption(opt, []byte(text)) }}
}

func longSetting(opt sockets.Option, v uint64) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.SetOption(opt, binary.NativeEndian.AppendUint64(nil, v))
	}}
}

// msSetting takes whole milliseconds, rounded up; negative: without end.
func msSetting(opt sockets.Option, d time.Duration) Setting {
	if d < 0 {
		return intSetting(opt, -1)
	}
	return intSetting(opt, int((d+time.Millisecond-1)/time.Millisecond))
}

// WithMode chooses between ModeFast (Recv, Send …), which sockets of Listen, Dial
// and Open are in without it, and ModeCompat (RecvFrame, SendFrame). EINVAL after
// the first Bind or Connect.
func WithMode(mode int) Setting { return intSetting(sockets.OptMode, mode) }

// WithSendHWM limits the messages queued for one peer; 0: no limit.
func WithSendHWM(messages int) Setting { return intSetting(sockets.OptSndHwm, messages) }

// WithRecvHWM limits the messages queued from one peer; 0: no limit.
func WithRecvHWM(messages int) Setting { return intSetting(sockets.OptRcvHwm, messages) }

// WithLinger limits how long unsent messages go out after Close; negative: no
// limit.
func WithLinger(d time.Duration) Setting { return msSetting(sockets.OptLinger, d) }

// WithCloseTimeout limits how long a peer may take nothing of what is queued for a
// connection that ends, before it is reset; 0: it is at once; negative: no limit.
func WithCloseTimeout(d time.Duration) Setting { return msSetting(sockets.OptCloseTimeout, d) }

// WithHeaderMax limits the bytes of a request or answer of HTTP that a handshake of
// ws or wss takes, 1,024 to 65,536.
func WithHeaderMax(bytes int) Setting { return intSetting(sockets.OptHeaderMax, bytes) }

// WithRecvTimeout limits how long a receive waits (EAGAIN); negative: no limit.
func WithRecvTimeout(d time.Duration) Setting { return msSetting(sockets.OptRcvTimeo, d) }

// WithSendTimeout limits how long a send waits for room (EAGAIN); negative: no
// limit.
func WithSendTimeout(d time.Duration) Setting { return msSetting(sockets.OptSndTimeo, d) }

// WithMaxMessageSize cuts the connection of a peer that announces a longer body;
// negative: no limit.
func WithMaxMessageSize(bytes int64) Setting {
	return longSetting(sockets.OptMaxMsgSize, uint64(bytes))
}

// WithSendBuffer sets SO_SNDBUF in bytes.
func WithSendBuffer(bytes int) Setting { return intSetting(sockets.OptSndBuf, bytes) }

// WithRecvBuffer sets SO_RCVBUF in bytes.
func WithRecvBuffer(bytes int) Setting { return intSetting(sockets.OptRcvBuf, bytes) }

// WithBacklog sets the length of the queue of a listening descriptor.
func WithBacklog(connections int) Setting { return intSetting(sockets.OptBacklog, connections) }

// WithReconnect sets the pause before a lost connection is dialled again, and
// up to what it doubles; a negative first: never again.
func WithReconnect(first, most time.Duration) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(msSetting(sockets.OptReconnectIvl, first), msSetting(sockets.OptReconnectIvlMax, most))
	}}
}

// WithConnectTimeout limits one try to connect; 0: the system's limit.
func WithConnectTimeout(d time.Duration) Setting { return msSetting(sockets.OptConnectTimeout, d) }

// WithHandshakeTimeout limits the TLS and WebSocket handshake of a connection; 0:
// no limit.
func WithHandshakeTimeout(d time.Duration) Setting { return msSetting(sockets.OptHandshakeIvl, d) }

// WithHeartbeat has a server of ws or wss ping each peer at an interval (0: never), and
// give up one that takes longer to answer than the timeout (0: never).
func WithHeartbeat(interval, timeout time.Duration) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(msSetting(sockets.OptHeartbeatIvl, interval), msSetting(sockets.OptHeartbeatTimeout, timeout))
	}}
}

// WithKeepAlive switches TCP keep-alive on, with the idle time, the interval (in
// whole seconds, rounded up) and the count of its probes; 0: the system's.
func WithKeepAlive(idle, interval time.Duration, probes int) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(intSetting(sockets.OptKeepAlive, 1), intSetting(sockets.OptKeepAliveIdle, seconds(idle)),
			intSetting(sockets.OptKeepAliveIntvl, seconds(interval)), intSetting(sockets.OptKeepAliveCnt, probes))
	}}
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// WithUserTimeout sets TCP_USER_TIMEOUT; 0: the system's.
func WithUserTimeout(d time.Duration) Setting { return msSetting(sockets.OptMaxRT, d) }

// WithTOS sets the type of service of outgoing packets.
func WithTOS(value int) Setting { return intSetting(sockets.OptTOS, value) }

// WithIPv6 also allows IPv6 addresses.
func WithIPv6(on bool) Setting { return boolSetting(sockets.OptIPv6, on) }

// WithListener has the next Bind take a listening descriptor, which is the
// socket's from then on.
func WithListener(fd int) Setting { return intSetting(sockets.OptUseFd, fd) }

// WithDevice binds descriptors to a network device.
func WithDevice(name string) Setting { return textSetting(sockets.OptBindToDevice, name) }

// WithAffinity says which io threads may serve the socket, bit by bit; 0: all.
func WithAffinity(threads uint64) Setting { return longSetting(sockets.OptAffinity, threads) }

// WithPeerName names the peer of the next Connect, once: in Peer and Peers, in
// monitors' events, and, in the mode COMPAT, in frames.
func WithPeerName(name string) Setting { return textSetting(sockets.OptConnectRoutingID, name) }

// WithTLSKeyPair sets the files of the own certificate and its key. On a socket that
// listens it takes effect with the next connection.
func WithTLSKeyPair(certFile, keyFile string) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(textSetting(sockets.OptTLSCert, certFile), textSetting(sockets.OptTLSKey, keyFile))
	}}
}

// WithTLSPassword sets the password of an encrypted key.
func WithTLSPassword(password string) Setting { return textSetting(sockets.OptTLSPassword, password) }

// WithTLSCiphers names the suites of TLS 1.2, with colons between; DEFAULT among them
// means those that are there without it.
func WithTLSCiphers(names string) Setting { return textSetting(sockets.OptTLSCiphers, names) }

// WithTLSAuthorities sets the file of the authorities that peers are verified
// against, with their revocation lists, and whether the system's are trusted as well. On
// a socket that listens and verifies its clients it takes effect with the next connection.
func WithTLSAuthorities(file string, systemToo bool) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(textSetting(sockets.OptTLSCA, file), boolSetting(sockets.OptTLSTrustSystem, systemToo))
	}}
}

// WithTLSVerify says whether the peer's certificate is verified, and against
// which name; "": the endpoint's.
func WithTLSVerify(on bool, hostname string) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(boolSetting(sockets.OptTLSVerify, on), textSetting(sockets.OptTLSHostname, hostname))
	}}
}

// WithTLSClientCert says whether clients have to show a certificate.
func WithTLSClientCert(required bool) Setting { return boolSetting(sockets.OptTLSClientCert, required) }
