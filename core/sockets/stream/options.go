// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sockets"
)

// Values of sockets.OptMode.
const (
	ModeCompat = 0 // two frames for a message: routing id, body
	ModeFast   = 1 // one call for a message that carries its routing id
)

// Values of sockets.OptRatePolicy.
const (
	RateWait = 0 // a peer that sends more than its rate is read later
	RateCut  = 1 // it loses its connection
)

// Values of sockets.OptTLSMinVersion.
const (
	TLS12 = 12
	TLS13 = 13
)

// Type is the number of the socket type (ZLINK_STREAM).
const Type = 11

// options are a socket's settings; those that take effect at once are atomic.
type options struct {
	linger, rcvTimeout, sndTimeout, closeTimeout atomic.Int32 // ms; -1: no limit
	fullPolicy                                   atomic.Int32

	ints         map[sockets.Option]int32 // those that differ from their default
	strings      map[sockets.Option]string
	affinity     uint64
	maxMsgSize   int64
	routingID    []byte
	connectID    []byte
	allow, deny  *engine.AddressList
	proxyFrom    *engine.AddressList
	web          engine.WebRules
	properties   *engine.Properties // nil: nothing is kept of peers
	lastEndpoint string
	used         bool // Bind or Connect was called
}

func (o *options) setDefaults(ctx *core.Context) {
	o.linger.Store(int32(ctx.DefaultLinger()))
	o.rcvTimeout.Store(-1)
	o.sndTimeout.Store(-1)
	o.closeTimeout.Store(intOptions[sockets.OptCloseTimeout].dflt)
	o.maxMsgSize = -1
	if ctx.DefaultIPv6() {
		o.setInt(sockets.OptIPv6, 1)
	}
}

// atOnce returns the variable of an int option that takes effect at once, or nil.
func (o *options) atOnce(opt sockets.Option) *atomic.Int32 {
	switch opt {
	case sockets.OptLinger:
		return &o.linger
	case sockets.OptRcvTimeo:
		return &o.rcvTimeout
	case sockets.OptSndTimeo:
		return &o.sndTimeout
	case sockets.OptCloseTimeout:
		return &o.closeTimeout
	case sockets.OptFullPolicy:
		return &o.fullPolicy
	}
	return nil
}

// int returns the value of an int option.
func (o *options) int(opt sockets.Option) int32 {
	if place := o.atOnce(opt); place != nil {
		return place.Load()
	}
	if v, set := o.ints[opt]; set {
		return v
	}
	if opt == sockets.OptHeartbeatTimeout {
		return o.int(sockets.OptHeartbeatIvl)
	}
	return intOptions[opt].dflt
}

func (o *options) setInt(opt sockets.Option, v int32) {
	if place := o.atOnce(opt); place != nil {
		place.Store(v)
		return
	}
	if o.ints == nil {
		o.ints = map[sockets.Option]int32{}
	}
	o.ints[opt] = v
}

// SetOption sets an option to a value in C's form: an int of 4 bytes, an int64
// or uint64 of 8, or bytes. EINVAL: the option is unknown, or the size or value is wrong;
// nothing changes.
func (k *Socket) SetOption(opt sockets.Option, value []byte) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	return k.setOption(opt, value)
}

func (k *Socket) setOption(opt sockets.Option, value []byte) error {
	o := &k.opt
	if takes, ok := intOptions[opt]; ok {
		return k.setIntOption(opt, takes, value)
	}
	if longest, ok := stringOptions[opt]; ok {
		if size := len(bytes.TrimSuffix(value, []byte{0})); size > longest {
			return sockets.BadOption(opt, "takes at most %d bytes, not %d", longest, size)
		}
		text, _, _ := strings.Cut(string(value), "\x00") // an array of C may have more bytes behind the text
		if o.strings == nil {
			o.strings = map[sockets.Option]string{}
		}
		before := o.strings[opt]
		o.strings[opt] = text
		err := k.textSet(opt)
		if err != nil {
			o.strings[opt] = before
		}
		return err
	}
	switch opt {
	case sockets.OptMode:
		return k.setMode(value)
	case sockets.OptSendBytesTotal, sockets.OptRecvTotal:
		return k.setTotal(opt, value)
	case sockets.OptMaxMsgSize, sockets.OptAffinity:
		if len(value) != 8 {
			return sockets.BadOption(opt, "takes 8 bytes, not %d", len(value))
		}
		if opt == sockets.OptAffinity {
			o.affinity = binary.NativeEndian.Uint64(value)
		} else {
			o.maxMsgSize = int64(binary.NativeEndian.Uint64(value))
		}
	case sockets.OptRoutingID, sockets.OptConnectRoutingID:
		if len(value) < 1 || len(value) > shm.MaxID {
			return sockets.BadOption(opt, "takes 1 to %d bytes, not %d", shm.MaxID, len(value))
		}
		if opt == sockets.OptRoutingID {
			o.routingID = append([]byte(nil), value...)
		} else {
			o.connectID = append([]byte(nil), value...)
		}
	default:
		return sockets.BadOption(opt, "cannot be set on a STREAM socket")
	}
	return nil
}

func (k *Socket) setIntOption(opt sockets.Option, takes intOption, value []byte) error {
	if len(value) != 4 {
		return sockets.BadOption(opt, "takes 4 bytes, not %d", len(value))
	}
	v := int32(binary.NativeEndian.Uint32(value))
	if v < takes.min || v > takes.max {
		return sockets.BadOption(opt, "does not take the value %d", v)
	}
	switch opt {
	case sockets.OptProfile:
		return k.setProfile(v)
	case sockets.OptFraming:
		return k.setFraming(v)
	}
	k.opt.setInt(opt, v)
	k.admitBy(opt)
	if opt == sockets.OptFullPolicy {
		k.wakeSenders()
	}
	return nil
}

// textSet makes a text option take effect that does so at once. After an error it does not.
func (k *Socket) textSet(opt sockets.Option) error {
	switch opt {
	case sockets.OptAllow, sockets.OptDeny, sockets.OptProxyFrom:
		return k.setAddresses(opt)
	case sockets.OptWebProtocols, sockets.OptWebOrigins, sockets.OptWebHealth, sockets.OptWebPaths:
		return k.opt.setWebRules(opt)
	case sockets.OptProperties:
		return k.opt.setProperties()
	case sockets.OptTLSALPN:
		return k.opt.checkALPN()
	}
	return k.reloadTLS(opt)
}

func (k *Socket) mode() int32 {
	if k.fast.Load() { // the phases belong to the receiver and the sender
		return ModeFast
	}
	return ModeCompat
}

func (k *Socket) setMode(value []byte) error {
	if len(value) != 4 {
		return sockets.BadOption(sockets.OptMode, "takes 4 bytes, not %d", len(value))
	}
	mode := int32(binary.NativeEndian.Uint32(value))
	if mode != ModeCompat && mode != ModeFast {
		return sockets.BadOption(sockets.OptMode, "does not take the value %d", mode)
	}
	if k.opt.used {
		return sockets.BadOption(sockets.OptMode, "can be set until the first bind or connect")
	}
	phase := uint32(shm.PhaseID)
	if mode == ModeFast {
		phase = shm.PhaseFast
	}
	k.shared.RxPhase, k.shared.TxPhase = phase, phase
	k.fast.Store(mode == ModeFast)
	return nil
}

// setTotal sets an option of all connections together, which takes effect at once.
func (k *Socket) setTotal(opt sockets.Option, value []byte) error {
	if len(value) != 8 {
		return sockets.BadOption(opt, "takes 8 bytes, not %d", len(value))
	}
	v := int64(binary.NativeEndian.Uint64(value))
	if v < 0 {
		return sockets.BadOption(opt, "does not take the value %d", v)
	}
	if opt == sockets.OptRecvTotal {
		return k.setRecvTotal(value)
	}
	k.shared.TxTotal.Store(v)
	k.relieved()
	return nil
}

// Option stores an option's value in C's form at the start of buf and returns its length.
// Behind an int it fills buf with zeros. EINVAL: the option is unknown, or buf is too small.
func (k *Socket) Option(opt sockets.Option, buf []byte) (int, error) {
	if err := k.enter(); err != nil {
		return 0, err
	}
	defer k.leave()
	value, err := k.option(opt)
	if err != nil {
		return 0, err
	}
	if len(value) > len(buf) {
		return 0, sockets.BadOption(opt, "needs %d bytes, not %d", len(value), len(buf))
	}
	n := copy(buf, value)
	if isInt(opt) {
		clear(buf[n:])
	}
	return n, nil
}

// isInt reports whether the option is of C's type int.
func isInt(opt sockets.Option) bool {
	switch opt {
	case sockets.OptType, sockets.OptMode, sockets.OptRcvMore, sockets.OptFd, sockets.OptEvents:
		return true
	}
	_, is := intOptions[opt]
	return is
}

func (k *Socket) option(opt sockets.Option) ([]byte, error) {
	o := &k.opt
	if _, ok := intOptions[opt]; ok {
		return cInt(o.int(opt)), nil
	}
	if _, ok := stringOptions[opt]; ok {
		return append([]byte(o.strings[opt]), 0), nil
	}
	switch opt {
	case sockets.OptRecvTotal:
		return binary.NativeEndian.AppendUint64(nil, uint64(k.account.Total.Load())), nil
	case sockets.OptMaxMsgSize:
		return binary.NativeEndian.AppendUint64(nil, uint64(o.maxMsgSize)), nil
	case sockets.OptAffinity:
		return binary.NativeEndian.AppendUint64(nil, o.affinity), nil
	case sockets.OptSendBytesTotal:
		return binary.NativeEndian.AppendUint64(nil, uint64(k.shared.TxTotal.Load())), nil
	case sockets.OptRoutingID:
		return o.routingID, nil
	case sockets.OptType:
		return cInt(Type), nil
	case sockets.OptMode:
		return cInt(k.mode()), nil
	case sockets.OptRcvMore:
		return cInt(int32(k.shared.RxMore)), nil
	case sockets.OptFd:
		fd, err := k.openFd()
		return cInt(int32(fd)), err
	case sockets.OptEvents:
		return cInt(k.events()), nil
	case sockets.OptLastEndpoint:
		return append([]byte(o.lastEndpoint), 0), nil
	}
	return nil, sockets.BadOption(opt, "cannot be read from a STREAM socket")
}

// recvTotal is the default of sockets.OptRecvTotal.
const recvTotal = 256 << 20

func (k *Socket) setRecvTotal(value []byte) error {
	if len(value) != 8 {
		return sockets.BadOption(sockets.OptRecvTotal, "takes 8 bytes, not %d", len(value))
	}
	total := int64(binary.NativeEndian.Uint64(value))
	if total < 0 || total > shm.MaxTotal {
		return sockets.BadOption(sockets.OptRecvTotal, "does not take the value %d", total)
	}
	k.account.Total.Store(total)
	return nil
}

func cInt(v int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

// tcp returns the options that a new descriptor gets.
func (o *options) tcp() engine.TCPOptions {
	return engine.TCPOptions{
		SndBuf: int(o.int(sockets.OptSndBuf)), RcvBuf: int(o.int(sockets.OptRcvBuf)),
		Backlog: int(o.int(sockets.OptBacklog)), IPv6: o.int(sockets.OptIPv6) == 1,
		KeepAlive: int(o.int(sockets.OptKeepAlive)), KeepAliveCount: int(o.int(sockets.OptKeepAliveCnt)),
		KeepAliveIdle: int(o.int(sockets.OptKeepAliveIdle)), KeepAliveInterval: int(o.int(sockets.OptKeepAliveIntvl)),
		TOS: int(o.int(sockets.OptTOS)), UserTimeout: o.duration(sockets.OptMaxRT), Device: o.strings[sockets.OptBindToDevice],
		ReusePort: o.int(sockets.OptReusePort) == 1,
	}
}

// limits returns the options that a new connection keeps.
func (k *Socket) limits() engine.Limits {
	limits := k.opt.limits()
	limits.Fast = k.fast.Load()
	return limits
}

func (o *options) limits() engine.Limits {
	return engine.Limits{MaxMsgSize: o.maxMsgSize, SndHwm: uint32(o.int(sockets.OptSndHwm)), RcvHwm: uint32(o.int(sockets.OptRcvHwm)),
		SendBytes: uint32(o.int(sockets.OptSendBytes)),
		RecvBytes: int64(o.int(sockets.OptRecvBytes)),
		Rate: engine.Rate{Messages: int64(o.int(sockets.OptRateMessages)), Bytes: int64(o.int(sockets.OptRateBytes)),
			Cut: o.int(sockets.OptRatePolicy) == RateCut},
		Deadlines: engine.Deadlines{Idle: o.duration(sockets.OptIdleTimeout),
			FirstMessage: o.duration(sockets.OptFirstMessage), Age: o.duration(sockets.OptMaxAge)}}
}

func (o *options) redial() engine.Redial {
	return engine.Redial{First: o.duration(sockets.OptReconnectIvl), Max: o.duration(sockets.OptReconnectIvlMax),
		ConnectTimeout: o.duration(sockets.OptConnectTimeout)}
}

func (o *options) duration(opt sockets.Option) time.Duration {
	return time.Duration(o.int(opt)) * time.Millisecond
}
