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

// InContext puts the socket into a context of its caller, which has its own io threads and
// limits and which the caller ends with Term. Without it sockets share core.Default. It
// has no effect in Set.
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

// WithMode chooses between ModeFast (Recv, Send …) and ModeCompat (RecvFrame, SendFrame).
// Sockets of Listen, Dial and Open are in ModeFast without it. EINVAL after the first Bind
// or Connect.
func WithMode(mode int) Setting { return intSetting(sockets.OptMode, mode) }

// WithProfile sets many options at once: ProfilePublic makes a server safe on the internet,
// ProfilePrivate is what a socket starts with. doc/public.md lists them. Settings behind it
// override it.
func WithProfile(profile int) Setting { return intSetting(sockets.OptProfile, profile) }

// WithSendHWM limits the messages queued for one peer; 0: no limit.
func WithSendHWM(messages int) Setting { return intSetting(sockets.OptSndHwm, messages) }

// WithRecvHWM limits the messages queued from one peer; 0: no limit.
func WithRecvHWM(messages int) Setting { return intSetting(sockets.OptRcvHwm, messages) }

// WithRecvBytes limits the bytes queued from one peer; 0: no limit. A longer message passes
// while nothing else of its peer waits.
func WithRecvBytes(bytes int) Setting { return intSetting(sockets.OptRecvBytes, bytes) }

// WithRecvBytesTotal limits the memory that received messages of the socket take until they
// are released; 0: no limit.
func WithRecvBytesTotal(bytes int64) Setting {
	return longSetting(sockets.OptRecvTotal, uint64(bytes))
}

// WithRateMessages limits the messages that one peer may send in a second; 0: no limit. A
// peer that was silent may send a second's worth at once.
func WithRateMessages(messages int) Setting { return intSetting(sockets.OptRateMessages, messages) }

// WithRateBytes is WithRateMessages for bytes, length fields included.
func WithRateBytes(bytes int) Setting { return intSetting(sockets.OptRateBytes, bytes) }

// WithRatePolicy sets what happens to a peer that sends more: RateWait or RateCut.
func WithRatePolicy(policy int) Setting { return intSetting(sockets.OptRatePolicy, policy) }

// WithSendBytes limits the bytes queued for one peer; 0: no limit. A longer message passes
// through an empty queue.
func WithSendBytes(bytes int) Setting { return intSetting(sockets.OptSendBytes, bytes) }

// WithSendBytesTotal limits the memory of all send queues of the socket, in bytes; 0: no
// limit. It takes effect at once.
func WithSendBytesTotal(bytes int64) Setting {
	return longSetting(sockets.OptSendBytesTotal, uint64(bytes))
}

// WithFullPolicy says what a send to a full queue does: FullAgain, FullDropNewest,
// FullDropOldest or FullCut. It takes effect at once.
func WithFullPolicy(policy int) Setting { return intSetting(sockets.OptFullPolicy, policy) }

// WithLinger limits how long unsent messages are still sent after Close; negative: no
// limit.
func WithLinger(d time.Duration) Setting { return msSetting(sockets.OptLinger, d) }

// WithCloseTimeout limits how long a closing connection waits for a peer that takes none of
// its queued bytes. Then the connection is reset. 0: it is reset at once; negative: no limit.
func WithCloseTimeout(d time.Duration) Setting { return msSetting(sockets.OptCloseTimeout, d) }

// WithHeaderMax limits the size of an HTTP request or answer in a handshake of ws or wss,
// in bytes: 1,024 to 65,536.
func WithHeaderMax(bytes int) Setting { return intSetting(sockets.OptHeaderMax, bytes) }

// WithMaxConnections limits the accepted connections of the socket, with those in their
// handshakes; 0: no limit. It and the settings below apply to connections that are accepted
// from then on. Whoever is refused is reset at once.
func WithMaxConnections(n int) Setting { return intSetting(sockets.OptMaxConnections, n) }

// WithAddressConnections limits the accepted connections of one block of addresses; 0: no limit.
func WithAddressConnections(n int) Setting { return intSetting(sockets.OptAddressConnections, n) }

// WithAddressPrefix sets how many bits of an IPv4 and of an IPv6 address say which block it is in.
func WithAddressPrefix(bits4, bits6 int) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(intSetting(sockets.OptAddressPrefix4, bits4), intSetting(sockets.OptAddressPrefix6, bits6))
	}}
}

// WithAcceptRate limits the connections that are accepted in a second; the others wait in the
// kernel. 0: no limit.
func WithAcceptRate(perSecond int) Setting { return intSetting(sockets.OptAcceptRate, perSecond) }

// WithAddressAcceptRate limits the connections of one block of addresses in a second; 0: no limit.
func WithAddressAcceptRate(perSecond int) Setting {
	return intSetting(sockets.OptAddressAcceptRate, perSecond)
}

// WithAllow accepts peers of these addresses and blocks (192.0.2.0/24) only, with commas or
// spaces between; "": all. EINVAL: the list has a wrong entry.
func WithAllow(list string) Setting { return textSetting(sockets.OptAllow, list) }

// WithDeny accepts no peers of these addresses and blocks, also if WithAllow has them.
func WithDeny(list string) Setting { return textSetting(sockets.OptDeny, list) }

// WithHandshakes limits the handshakes that are begun at a time; 0: the limit of the process.
func WithHandshakes(n int) Setting { return intSetting(sockets.OptHandshakes, n) }

// WithProperties names what is kept of each peer of later binds and connects, for PeerProperty
// and Message.Property, with commas or spaces between: doc/options.md has the names. "": nothing.
// EINVAL: there is no such property.
func WithProperties(names string) Setting { return textSetting(sockets.OptProperties, names) }

// WithPropertyBytes limits what is kept of one peer, 64 to 65,536 bytes. A peer with more is refused.
func WithPropertyBytes(bytes int) Setting { return intSetting(sockets.OptPropertyBytes, bytes) }

// WithAcceptTimeout has the application decide, within that time, about each peer that connects to later
// binds: with AcceptPeer or RefusePeer, after a message of the kind Asking. 0: all are taken. Only in the
// mode FAST.
func WithAcceptTimeout(d time.Duration) Setting { return msSetting(sockets.OptAcceptTimeout, d) }

// WithPeerData lets SetPeerData give data for the peers of later binds and connects.
func WithPeerData() Setting { return intSetting(sockets.OptPeerData, 1) }

// WithProxyFrom has later binds take connections from these addresses and blocks only, which begin
// with a header of the PROXY protocol, version 1 or 2; the peer's address is then the one that the
// header has. "": connections have no such header. EINVAL: the list has a wrong entry.
func WithProxyFrom(list string) Setting { return textSetting(sockets.OptProxyFrom, list) }

// WithWebProtocols sets the subprotocols of later binds of ws and wss, the preferred one first: the
// first one that a client offers is chosen. EINVAL: a name is wrong.
func WithWebProtocols(names string) Setting { return textSetting(sockets.OptWebProtocols, names) }

// WithWebOrigins sets the origins, such as https://a.example, whose pages may connect to later
// binds of ws and wss; "*": all. "": all, but those of the same host only if the socket keeps cookies,
// passwords or certificates (WithProperties). EINVAL: an origin is wrong.
func WithWebOrigins(list string) Setting { return textSetting(sockets.OptWebOrigins, list) }

// WithWebPaths sets paths that later binds of ws and wss take besides the one of their endpoint, with
// commas or spaces between; /rooms/* takes all that begin with /rooms/. The property WS-Path says which
// one a peer has asked for. EINVAL: a path is wrong.
func WithWebPaths(list string) Setting { return textSetting(sockets.OptWebPaths, list) }

// WithWebHealth sets the path that later binds of ws and wss answer with 200, and with 503 while the
// socket drains; "": none.
func WithWebHealth(path string) Setting { return textSetting(sockets.OptWebHealth, path) }

// WithFraming says how messages lie in the bytes of all connections: FramingLength, FramingMessages
// or FramingRaw. EINVAL after the first Bind or Connect.
func WithFraming(framing int) Setting { return intSetting(sockets.OptFraming, framing) }

// WithWebDeflate has messages of ws and wss compressed (permessage-deflate) if the peer does that, too. It
// needs WithFraming (FramingMessages) and WithMaxMessageSize.
func WithWebDeflate(on bool) Setting { return boolSetting(sockets.OptWebDeflate, on) }

// WithRecvTimeout limits how long a receive waits (EAGAIN); negative: no limit.
func WithRecvTimeout(d time.Duration) Setting { return msSetting(sockets.OptRcvTimeo, d) }

// WithSendTimeout limits how long a send waits for room (EAGAIN); negative: no
// limit.
func WithSendTimeout(d time.Duration) Setting { return msSetting(sockets.OptSndTimeo, d) }

// WithMaxMessageSize limits the length of a received body. A peer that announces a longer
// one loses its connection. Negative: no limit.
func WithMaxMessageSize(bytes int64) Setting {
	return longSetting(sockets.OptMaxMsgSize, uint64(bytes))
}

// WithSendBuffer sets SO_SNDBUF in bytes.
func WithSendBuffer(bytes int) Setting { return intSetting(sockets.OptSndBuf, bytes) }

// WithRecvBuffer sets SO_RCVBUF in bytes.
func WithRecvBuffer(bytes int) Setting { return intSetting(sockets.OptRcvBuf, bytes) }

// WithBacklog sets the length of the queue of a listening descriptor.
func WithBacklog(connections int) Setting { return intSetting(sockets.OptBacklog, connections) }

// WithReconnect sets the first pause before a lost connection is dialled again, and the
// longest pause, up to which it doubles. A negative first pause means never.
func WithReconnect(first, most time.Duration) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(msSetting(sockets.OptReconnectIvl, first), msSetting(sockets.OptReconnectIvlMax, most))
	}}
}

// WithConnectTimeout limits one attempt to connect; 0: the system's limit.
func WithConnectTimeout(d time.Duration) Setting { return msSetting(sockets.OptConnectTimeout, d) }

// WithHandshakeTimeout limits the TLS and WebSocket handshake of a connection; 0:
// no limit.
func WithHandshakeTimeout(d time.Duration) Setting { return msSetting(sockets.OptHandshakeIvl, d) }

// WithHeartbeat makes a server of ws or wss ping each peer at an interval (0: never), and
// end the connection of a peer that takes longer to answer than the timeout (0: never).
func WithHeartbeat(interval, timeout time.Duration) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(msSetting(sockets.OptHeartbeatIvl, interval), msSetting(sockets.OptHeartbeatTimeout, timeout))
	}}
}

// WithIdleTimeout ends a connection from which nothing comes for so long, not even the answer
// to a ping; 0: never.
func WithIdleTimeout(d time.Duration) Setting { return msSetting(sockets.OptIdleTimeout, d) }

// WithFirstMessageTimeout ends an accepted connection that has not sent a whole message so
// long after it came up; 0: never.
func WithFirstMessageTimeout(d time.Duration) Setting {
	return msSetting(sockets.OptFirstMessage, d)
}

// WithMaxAge ends an accepted connection so long after it came up; 0: never.
func WithMaxAge(d time.Duration) Setting { return msSetting(sockets.OptMaxAge, d) }

// WithKeepAlive turns TCP keep-alive on and sets the idle time, the interval (both in
// whole seconds, rounded up) and the number of probes; 0: the system's value.
func WithKeepAlive(idle, interval time.Duration, probes int) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(intSetting(sockets.OptKeepAlive, 1), intSetting(sockets.OptKeepAliveIdle, seconds(idle)),
			intSetting(sockets.OptKeepAliveIntvl, seconds(interval)), intSetting(sockets.OptKeepAliveCnt, probes))
	}}
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// WithUserTimeout sets TCP_USER_TIMEOUT; 0: the system's value.
func WithUserTimeout(d time.Duration) Setting { return msSetting(sockets.OptMaxRT, d) }

// WithTOS sets the type of service of outgoing packets.
func WithTOS(value int) Setting { return intSetting(sockets.OptTOS, value) }

// WithIPv6 also allows IPv6 addresses.
func WithIPv6(on bool) Setting { return boolSetting(sockets.OptIPv6, on) }

// WithListener lets the next Bind use a listening descriptor, which then belongs to the
// socket.
func WithListener(fd int) Setting { return intSetting(sockets.OptUseFd, fd) }

// WithListenName lets the next Bind use a listening descriptor that systemd has passed to the
// process, by its name (FileDescriptorName=, else that of the socket unit); "*": by the endpoint
// alone. EINVAL at Bind: there is none for the endpoint.
func WithListenName(name string) Setting { return textSetting(sockets.OptListenName, name) }

// WithReusePort lets later binds share their port with others that have the setting, in this
// process or in another one of the same user. The system spreads new connections over all of
// them. EINVAL at Bind: ipc has no ports.
func WithReusePort(on bool) Setting { return boolSetting(sockets.OptReusePort, on) }

// WithDevice binds descriptors to a network device.
func WithDevice(name string) Setting { return textSetting(sockets.OptBindToDevice, name) }

// WithAffinity selects the io threads that may serve the socket, one bit each; 0: all.
func WithAffinity(threads uint64) Setting { return longSetting(sockets.OptAffinity, threads) }

// WithPeerName names the peer of the next Connect, once. The name appears in Peer and
// Peers, in monitors' events, and, in the mode COMPAT, in frames.
func WithPeerName(name string) Setting { return textSetting(sockets.OptConnectRoutingID, name) }

// WithTLSKeyPair sets the files of the socket's own certificate and key. On a listening
// socket it takes effect with the next connection.
func WithTLSKeyPair(certFile, keyFile string) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(textSetting(sockets.OptTLSCert, certFile), textSetting(sockets.OptTLSKey, keyFile))
	}}
}

// WithTLSPassword sets the password of an encrypted key.
func WithTLSPassword(password string) Setting { return textSetting(sockets.OptTLSPassword, password) }

// WithTLSCerts sets more certificates of later binds and of bound listeners, of which each client
// sees the one with the name that it asks for: folders, files that have a certificate and its key,
// or two files with a colon between; with commas or spaces between.
func WithTLSCerts(list string) Setting { return textSetting(sockets.OptTLSCerts, list) }

// WithTLSALPN sets the protocols of the application that later binds and connects offer, the
// preferred one first. EINVAL: a name is longer than 255 bytes.
func WithTLSALPN(names string) Setting { return textSetting(sockets.OptTLSALPN, names) }

// WithTLSTicketKeys sets the file with the keys of session tickets, of later binds and of bound
// listeners. Each line is a key of 32 bytes in base64, the newest one first. Processes with the
// same file resume each other's sessions.
func WithTLSTicketKeys(file string) Setting { return textSetting(sockets.OptTLSTicketKeys, file) }

// WithTLSOCSP sets the files with answers of OCSP that later binds and bound listeners staple to
// their certificates.
func WithTLSOCSP(files string) Setting { return textSetting(sockets.OptTLSOCSP, files) }

// WithTLSMinVersion sets the lowest version of later binds and connects: TLS12 or TLS13.
func WithTLSMinVersion(version int) Setting { return intSetting(sockets.OptTLSMinVersion, version) }

// WithTLSCiphers sets the suites of TLS 1.2 by name, separated by colons. The name DEFAULT
// stands for the suites that are used without this setting.
func WithTLSCiphers(names string) Setting { return textSetting(sockets.OptTLSCiphers, names) }

// WithTLSAuthorities sets the file of the authorities that verify peers, with their
// revocation lists, and whether the system's authorities are trusted as well. On a
// listening socket that verifies its clients it takes effect with the next connection.
func WithTLSAuthorities(file string, systemToo bool) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(textSetting(sockets.OptTLSCA, file), boolSetting(sockets.OptTLSTrustSystem, systemToo))
	}}
}

// WithTLSVerify sets whether the peer's certificate is verified, and against
// which name; "" means the endpoint's.
func WithTLSVerify(on bool, hostname string) Setting {
	return Setting{apply: func(k *Socket) error {
		return k.Set(boolSetting(sockets.OptTLSVerify, on), textSetting(sockets.OptTLSHostname, hostname))
	}}
}

// WithTLSClientCert sets whether clients must show a certificate.
func WithTLSClientCert(required bool) Setting { return boolSetting(sockets.OptTLSClientCert, required) }
