// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"math"
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
	OptSndBuf           Option = 11
	OptRcvBuf           Option = 12
	OptRcvMore          Option = 13
	OptEvents           Option = 15
	OptType             Option = 16
	OptLinger           Option = 17
	OptReconnectIvl     Option = 18
	OptBacklog          Option = 19
	OptReconnectIvlMax  Option = 21
	OptMaxMsgSize       Option = 22
	OptSndHwm           Option = 23
	OptRcvHwm           Option = 24
	OptRcvTimeo         Option = 27
	OptSndTimeo         Option = 28
	OptLastEndpoint     Option = 32
	OptImmediate        Option = 39
	OptIPv6             Option = 42
	OptConnectRoutingID Option = 61
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
	linger, rcvTimeout, sndTimeout atomic.Int32 // ms; -1: no limit

	affinity        uint64
	routingID       []byte
	sndBuf, rcvBuf  int32 // bytes
	reconnectIvl    int32 // ms
	reconnectIvlMax int32 // ms
	backlog         int32
	maxMsgSize      int64
	sndHwm, rcvHwm  int32
	immediate       int32
	ipv6            int32
	connectID       []byte
	lastEndpoint    string
}

// setDefaults gives every option its default.
func (o *options) setDefaults(ctx *core.Context) {
	o.linger.Store(int32(ctx.DefaultLinger()))
	o.rcvTimeout.Store(-1)
	o.sndTimeout.Store(-1)
	o.sndBuf, o.rcvBuf = -1, -1
	o.reconnectIvl, o.backlog = 100, 65536
	o.maxMsgSize = -1
	o.sndHwm, o.rcvHwm = 300000, 300000
	if ctx.DefaultIPv6() {
		o.ipv6 = 1
	}
}

// intOption is an option of C type int: where it lives and its smallest and
// largest value.
type intOption struct {
	plain    *int32
	atomic   *atomic.Int32
	min, max int32
}

// intOption finds an int option; false: the number names none.
func (o *options) intOption(opt Option) (intOption, bool) {
	const most = math.MaxInt32
	switch opt {
	case OptSndHwm:
		return intOption{&o.sndHwm, nil, 0, most}, true
	case OptRcvHwm:
		return intOption{&o.rcvHwm, nil, 0, most}, true
	case OptSndBuf:
		return intOption{&o.sndBuf, nil, -1, most}, true
	case OptRcvBuf:
		return intOption{&o.rcvBuf, nil, -1, most}, true
	case OptBacklog:
		return intOption{&o.backlog, nil, 0, most}, true
	case OptReconnectIvl:
		return intOption{&o.reconnectIvl, nil, -1, most}, true
	case OptReconnectIvlMax:
		return intOption{&o.reconnectIvlMax, nil, 0, most}, true
	case OptImmediate:
		return intOption{&o.immediate, nil, 0, 1}, true
	case OptIPv6:
		return intOption{&o.ipv6, nil, 0, 1}, true
	case OptLinger:
		return intOption{nil, &o.linger, -1, most}, true
	case OptRcvTimeo:
		return intOption{nil, &o.rcvTimeout, -1, most}, true
	case OptSndTimeo:
		return intOption{nil, &o.sndTimeout, -1, most}, true
	}
	return intOption{}, false
}

func badOption(opt Option, format string, args ...any) error {
	return errno.New(errno.EINVAL, "socket option %d "+format, append([]any{int(opt)}, args...)...)
}

// SetOption sets an option to a value in C's form: an int of 4 bytes, an int64
// or uint64 of 8, or bytes. EINVAL: unknown option, wrong size or value;
// nothing changes.
func (k *Socket) SetOption(opt Option, value []byte) error {
	if err := k.state(); err != nil {
		return err
	}
	o := &k.opt
	if place, ok := o.intOption(opt); ok {
		return place.set(opt, value)
	}
	switch opt {
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

func (p intOption) set(opt Option, value []byte) error {
	if len(value) != 4 {
		return badOption(opt, "takes 4 bytes, not %d", len(value))
	}
	v := int32(binary.NativeEndian.Uint32(value))
	if v < p.min || v > p.max {
		return badOption(opt, "does not take the value %d", v)
	}
	if p.atomic != nil {
		p.atomic.Store(v)
	} else {
		*p.plain = v
	}
	return nil
}

// Option stores an option's value in C's form at the start of buf and returns
// its length. EINVAL: unknown option, or buf is too small.
func (k *Socket) Option(opt Option, buf []byte) (int, error) {
	if err := k.state(); err != nil {
		return 0, err
	}
	value, err := k.option(opt)
	if err != nil {
		return 0, err
	}
	if len(value) > len(buf) {
		return 0, badOption(opt, "needs %d bytes, not %d", len(value), len(buf))
	}
	return copy(buf, value), nil
}

func (k *Socket) option(opt Option) ([]byte, error) {
	o := &k.opt
	if place, ok := o.intOption(opt); ok {
		if place.atomic != nil {
			return cInt(place.atomic.Load()), nil
		}
		return cInt(*place.plain), nil
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
	case OptRcvMore:
		return cInt(int32(k.shared.RxMore)), nil
	case OptEvents:
		return cInt(k.events()), nil
	case OptLastEndpoint:
		return append([]byte(o.lastEndpoint), 0), nil
	}
	return nil, badOption(opt, "cannot be read from a STREAM socket")
}

func cInt(v int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

// events says what would not block now.
func (k *Socket) events() int32 {
	k.look()
	if k.Readable() {
		return PollIn | PollOut
	}
	return PollOut
}

// tcp returns the options that a new descriptor gets.
func (o *options) tcp() engine.TCPOptions {
	return engine.TCPOptions{SndBuf: int(o.sndBuf), RcvBuf: int(o.rcvBuf), Backlog: int(o.backlog), IPv6: o.ipv6 == 1}
}

// limits returns the options that a new connection keeps.
func (o *options) limits() engine.Limits {
	return engine.Limits{MaxMsgSize: o.maxMsgSize, SndHwm: uint32(o.sndHwm), RcvHwm: uint32(o.rcvHwm)}
}

func (o *options) redial() engine.Redial {
	return engine.Redial{First: time.Duration(o.reconnectIvl) * time.Millisecond,
		Max: time.Duration(o.reconnectIvlMax) * time.Millisecond}
}
