// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// Option is the number of a socket option (ZLINK_SNDHWM …).
type Option int

// Options that apply to a STREAM socket.
const (
	OptAffinity         Option = 4
	OptRoutingID        Option = 5
	OptRate             Option = 8
	OptRecoveryIvl      Option = 9
	OptSndBuf           Option = 11
	OptRcvBuf           Option = 12
	OptRcvMore          Option = 13
	OptFd               Option = 14
	OptEvents           Option = 15
	OptType             Option = 16
	OptLinger           Option = 17
	OptReconnectIvl     Option = 18
	OptBacklog          Option = 19
	OptReconnectIvlMax  Option = 21
	OptMaxMsgSize       Option = 22
	OptSndHwm           Option = 23
	OptRcvHwm           Option = 24
	OptMulticastHops    Option = 25
	OptRcvTimeo         Option = 27
	OptSndTimeo         Option = 28
	OptLastEndpoint     Option = 32
	OptKeepAlive        Option = 34
	OptKeepAliveCnt     Option = 35
	OptKeepAliveIdle    Option = 36
	OptKeepAliveIntvl   Option = 37
	OptImmediate        Option = 39
	OptIPv6             Option = 42
	OptConflate         Option = 54
	OptTOS              Option = 57
	OptConnectRoutingID Option = 61
	OptHandshakeIvl     Option = 66
	OptInvertMatching   Option = 74
	OptHeartbeatIvl     Option = 75
	OptHeartbeatTTL     Option = 76
	OptHeartbeatTimeout Option = 77
	OptConnectTimeout   Option = 79
	OptMaxRT            Option = 80
	OptMulticastMaxTPDU Option = 84
	OptUseFd            Option = 89
	OptRequestTimeout   Option = 90
	OptRequestCorrelate Option = 91
	OptBindToDevice     Option = 92
	OptTLSCert          Option = 95
	OptTLSKey           Option = 96
	OptTLSCA            Option = 97
	OptTLSVerify        Option = 98
	OptTLSClientCert    Option = 99
	OptTLSHostname      Option = 100
	OptTLSTrustSystem   Option = 101
	OptTLSPassword      Option = 102
	OptZMPMetadata      Option = 117
	OptMode             Option = 300 // ModeCompat or ModeFast; until the first bind or connect
	OptCloseTimeout     Option = 301
	OptHeaderMax        Option = 302
	OptTLSCiphers       Option = 303
)

// Values of OptMode.
const (
	ModeCompat = 0 // two frames for a message: routing id, body
	ModeFast   = 1 // one call for a message that carries its routing id
)

// Type is the number of the socket type (ZLINK_STREAM).
const Type = 11

// Bits of OptEvents and of poll items.
const (
	PollIn  = 1
	PollOut = 2
	PollErr = 4
	PollPri = 8
)

// options are a socket's settings; those that take effect at once are atomic.
type options struct {
	linger, rcvTimeout, sndTimeout, closeTimeout atomic.Int32 // ms; -1: no limit

	ints         map[Option]int32 // those that differ from their default
	strings      map[Option]string
	affinity     uint64
	maxMsgSize   int64
	routingID    []byte
	connectID    []byte
	lastEndpoint string
	used         bool // there was a bind or connect
}

// intOption is an option of C type int.
type intOption struct{ dflt, min, max int32 }

const most = math.MaxInt32

// intOptions are the options of C type int and what they take.
var intOptions = map[Option]intOption{
	OptSndBuf:          {-1, -1, most}, // bytes
	OptRcvBuf:          {-1, -1, most}, // bytes
	OptLinger:          {-1, -1, most}, // ms
	OptReconnectIvl:    {100, -1, most},
	OptBacklog:         {65536, 0, most},
	OptReconnectIvlMax: {0, 0, most},
	OptSndHwm:          {300000, 0, most},
	OptRcvHwm:          {300000, 0, most},
	OptRcvTimeo:        {-1, -1, most},
	OptSndTimeo:        {-1, -1, most},
	OptKeepAlive:       {-1, -1, 1},
	OptKeepAliveCnt:    {-1, -1, most},
	OptKeepAliveIdle:   {-1, -1, most}, // s
	OptKeepAliveIntvl:  {-1, -1, most}, // s
	OptImmediate:       {0, 0, 1},
	OptIPv6:            {0, 0, 1},
	OptTOS:             {0, 0, most},
	OptHandshakeIvl:    {30000, 0, most}, // ms
	OptConnectTimeout:  {0, 0, most},     // ms
	OptMaxRT:           {0, 0, most},     // ms
	OptUseFd:           {-1, -1, most},
	OptTLSVerify:       {1, 0, 1},
	OptTLSClientCert:   {0, 0, 1},
	OptTLSTrustSystem:  {1, 0, 1},
	OptCloseTimeout:    {10000, -1, most},                            // ms
	OptHeaderMax:       {engine.DefaultHeaderMax, 1 << 10, 64 << 10}, // bytes

	OptHeartbeatIvl:     {0, 0, most},                    // ms
	OptHeartbeatTTL:     {0, 0, math.MaxUint16*100 + 99}, // ms
	OptHeartbeatTimeout: {0, 0, most},                    // ms; not set: as OptHeartbeatIvl

	// These mean something to other socket types. Here they are kept, so that a
	// set-up for all types does not fail.
	OptRate:             {100, 1, most},   // kbit/s
	OptRecoveryIvl:      {10000, 0, most}, // ms
	OptMulticastHops:    {1, 1, most},
	OptConflate:         {0, 0, 1},
	OptInvertMatching:   {0, 0, 1},
	OptMulticastMaxTPDU: {1500, 1, most},  // bytes
	OptRequestTimeout:   {5000, -1, most}, // ms
	OptRequestCorrelate: {1, 0, 1},
	OptZMPMetadata:      {0, 0, 1},
}

// stringOptions are the options of text and their longest value in bytes.
var stringOptions = map[Option]int{
	OptBindToDevice: 16,
	OptTLSCert:      256,
	OptTLSKey:       256,
	OptTLSCA:        256,
	OptTLSHostname:  256,
	OptTLSPassword:  256,
	OptTLSCiphers:   256,
}

func (o *options) setDefaults(ctx *core.Context) {
	o.linger.Store(int32(ctx.DefaultLinger()))
	o.rcvTimeout.Store(-1)
	o.sndTimeout.Store(-1)
	o.closeTimeout.Store(intOptions[OptCloseTimeout].dflt)
	o.maxMsgSize = -1
	if ctx.DefaultIPv6() {
		o.setInt(OptIPv6, 1)
	}
}

// atOnce returns the place of an int option that takes effect at once, or nil.
func (o *options) atOnce(opt Option) *atomic.Int32 {
	switch opt {
	case OptLinger:
		return &o.linger
	case OptRcvTimeo:
		return &o.rcvTimeout
	case OptSndTimeo:
		return &o.sndTimeout
	case OptCloseTimeout:
		return &o.closeTimeout
	}
	return nil
}

// int returns the value of an int option.
func (o *options) int(opt Option) int32 {
	if place := o.atOnce(opt); place != nil {
		return place.Load()
	}
	if v, set := o.ints[opt]; set {
		return v
	}
	if opt == OptHeartbeatTimeout {
		return o.int(OptHeartbeatIvl)
	}
	return intOptions[opt].dflt
}

func (o *options) setInt(opt Option, v int32) {
	if place := o.atOnce(opt); place != nil {
		place.Store(v)
		return
	}
	if o.ints == nil {
		o.ints = map[Option]int32{}
	}
	o.ints[opt] = v
}

func badOption(opt Option, format string, args ...any) error {
	return errno.New(errno.EINVAL, "socket option %s "+format, append([]any{opt}, args...)...)
}

// SetOption sets an option to a value in C's form: an int of 4 bytes, an int64
// or uint64 of 8, or bytes. EINVAL: unknown option, wrong size or value;
// nothing changes.
func (k *Socket) SetOption(opt Option, value []byte) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	o := &k.opt
	if takes, ok := intOptions[opt]; ok {
		if len(value) != 4 {
			return badOption(opt, "takes 4 bytes, not %d", len(value))
		}
		v := int32(binary.NativeEndian.Uint32(value))
		if v < takes.min || v > takes.max {
			return badOption(opt, "does not take the value %d", v)
		}
		o.setInt(opt, v)
		return nil
	}
	if longest, ok := stringOptions[opt]; ok {
		if size := len(bytes.TrimSuffix(value, []byte{0})); size > longest {
			return badOption(opt, "takes at most %d bytes, not %d", longest, size)
		}
		text, _, _ := strings.Cut(string(value), "\x00") // what follows in an array of C
		if o.strings == nil {
			o.strings = map[Option]string{}
		}
		before := o.strings[opt]
		o.strings[opt] = text
		err := k.reloadTLS(opt)
		if err != nil {
			o.strings[opt] = before
		}
		return err
	}
	switch opt {
	case OptMode:
		return k.setMode(value)
	case OptMaxMsgSize, OptAffinity:
		if len(value) != 8 {
			return badOption(opt, "takes 8 bytes, not %d", len(value))
		}
		if opt == OptAffinity {
			o.affinity = binary.NativeEndian.Uint64(value)
		} else {
			o.maxMsgSize = int64(binary.NativeEndian.Uint64(value))
		}
	case OptRoutingID, OptConnectRoutingID:
		if len(value) < 1 || len(value) > shm.MaxID {
			return badOption(opt, "takes 1 to %d bytes, not %d", shm.MaxID, len(value))
		}
		if opt == OptRoutingID {
			o.routingID = append([]byte(nil), value...)
		} else {
			o.connectID = append([]byte(nil), value...)
		}
	default:
		return badOption(opt, "cannot be set on a STREAM socket")
	}
	return nil
}

func (k *Socket) mode() int32 {
	if k.fast.Load() { // the phases are the receiver's and the sender's
		return ModeFast
	}
	return ModeCompat
}

func (k *Socket) setMode(value []byte) error {
	if len(value) != 4 {
		return badOption(OptMode, "takes 4 bytes, not %d", len(value))
	}
	mode := int32(binary.NativeEndian.Uint32(value))
	if mode != ModeCompat && mode != ModeFast {
		return badOption(OptMode, "does not take the value %d", mode)
	}
	if k.opt.used {
		return badOption(OptMode, "can be set until the first bind or connect")
	}
	phase := uint32(shm.PhaseID)
	if mode == ModeFast {
		phase = shm.PhaseFast
	}
	k.shared.RxPhase, k.shared.TxPhase = phase, phase
	k.fast.Store(mode == ModeFast)
	return nil
}

// Option stores an option's value in C's form at the start of buf and returns
// its length; behind an int it fills buf with zeros. EINVAL: unknown option, or buf is too small.
func (k *Socket) Option(opt Option, buf []byte) (int, error) {
	if err := k.enter(); err != nil {
		return 0, err
	}
	defer k.leave()
	value, err := k.option(opt)
	if err != nil {
		return 0, err
	}
	if len(value) > len(buf) {
		return 0, badOption(opt, "needs %d bytes, not %d", len(value), len(buf))
	}
	n := copy(buf, value)
	if opt.isInt() {
		clear(buf[n:])
	}
	return n, nil
}

// isInt tells whether the option is of C's type int.
func (opt Option) isInt() bool {
	switch opt {
	case OptType, OptMode, OptRcvMore, OptFd, OptEvents:
		return true
	}
	_, is := intOptions[opt]
	return is
}

func (k *Socket) option(opt Option) ([]byte, error) {
	o := &k.opt
	if _, ok := intOptions[opt]; ok {
		return cInt(o.int(opt)), nil
	}
	if _, ok := stringOptions[opt]; ok {
		return append([]byte(o.strings[opt]), 0), nil
	}
	switch opt {
	case OptMaxMsgSize:
		return binary.NativeEndian.AppendUint64(nil, uint64(o.maxMsgSize)), nil
	case OptAffinity:
		return binary.NativeEndian.AppendUint64(nil, o.affinity), nil
	case OptRoutingID:
		return o.routingID, nil
	case OptType:
		return cInt(Type), nil
	case OptMode:
		return cInt(k.mode()), nil
	case OptRcvMore:
		return cInt(int32(k.shared.RxMore)), nil
	case OptFd:
		fd, err := k.openFd()
		return cInt(int32(fd)), err
	case OptEvents:
		return cInt(k.events()), nil
	case OptLastEndpoint:
		return append([]byte(o.lastEndpoint), 0), nil
	}
	return nil, badOption(opt, "cannot be read from a STREAM socket")
}

func cInt(v int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

// tcp returns the options that a new descriptor gets.
func (o *options) tcp() engine.TCPOptions {
	return engine.TCPOptions{
		SndBuf: int(o.int(OptSndBuf)), RcvBuf: int(o.int(OptRcvBuf)),
		Backlog: int(o.int(OptBacklog)), IPv6: o.int(OptIPv6) == 1,
		KeepAlive: int(o.int(OptKeepAlive)), KeepAliveCount: int(o.int(OptKeepAliveCnt)),
		KeepAliveIdle: int(o.int(OptKeepAliveIdle)), KeepAliveInterval: int(o.int(OptKeepAliveIntvl)),
		TOS: int(o.int(OptTOS)), UserTimeout: o.duration(OptMaxRT), Device: o.strings[OptBindToDevice],
	}
}

// limits returns the options that a new connection keeps.
func (o *options) limits() engine.Limits {
	return engine.Limits{MaxMsgSize: o.maxMsgSize, SndHwm: uint32(o.int(OptSndHwm)), RcvHwm: uint32(o.int(OptRcvHwm))}
}

func (o *options) redial() engine.Redial {
	return engine.Redial{First: o.duration(OptReconnectIvl), Max: o.duration(OptReconnectIvlMax),
		ConnectTimeout: o.duration(OptConnectTimeout)}
}

func (o *options) duration(opt Option) time.Duration {
	return time.Duration(o.int(opt)) * time.Millisecond
}
