// SPDX-License-Identifier: MPL-2.0

package sockets

import (
	"encoding/binary"
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/wait"
)

// monitorType is the OptType of a monitor. Elsewhere, the number means a PAIR socket.
const monitorType = 0

// SetOption sets OptRcvTimeo, or OptLinger, which has no effect. EINVAL: a monitor does
// not have the option, or its size or value is wrong.
func (m *Monitor) SetOption(opt Option, value []byte) error {
	if opt != OptRcvTimeo && opt != OptLinger {
		return badMonitorOption(opt)
	}
	if len(value) != 4 {
		return BadOption(opt, "takes 4 bytes, not %d", len(value))
	}
	v := int32(binary.NativeEndian.Uint32(value))
	if v < -1 {
		return BadOption(opt, "does not take the value %d", v)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if opt == OptRcvTimeo {
		m.rcvTimeout = v
	} else {
		m.linger = v
	}
	return nil
}

func badMonitorOption(opt Option) error {
	return errno.New(errno.EINVAL, "a monitor has no socket option %s", opt)
}

// Option stores an option's value in C's form at the start of buf and returns its length.
// It knows the options of SetOption and OptType, OptFd, OptEvents and OptRcvMore.
// EINVAL: another option, or buf is too small.
func (m *Monitor) Option(opt Option, buf []byte) (int, error) {
	if err := m.state(); err != nil {
		return 0, err
	}
	var value int32
	switch opt {
	case OptRcvTimeo, OptLinger:
		m.mu.Lock()
		value = m.linger
		if opt == OptRcvTimeo {
			value = m.rcvTimeout
		}
		m.mu.Unlock()
	case OptType:
		value = monitorType
	case OptRcvMore:
	case OptEvents:
		value = m.pendingEvents()
	case OptFd:
		fd, err := m.openFd()
		if err != nil {
			return 0, err
		}
		value = int32(fd)
	default:
		return 0, badMonitorOption(opt)
	}
	if len(buf) < 4 {
		return 0, BadOption(opt, "needs 4 bytes, not %d", len(buf))
	}
	n := copy(buf, binary.NativeEndian.AppendUint32(nil, uint32(value)))
	clear(buf[n:])
	return n, nil
}

// openFd does the same as that of a socket.
func (m *Monitor) openFd() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fd == nil {
		w := wait.New()
		if _, err := w.OpenFd(); err != nil {
			return -1, errno.New(errno.Of(err), "cannot open an eventfd for the monitor")
		}
		m.fd = w
		m.readers.Add(w)
		w.Signal() // for earlier events
	}
	return m.fd.Fd(), nil
}

// pendingEvents reports whether an event waits. If none does, it makes sure that the next
// event makes the descriptor readable.
func (m *Monitor) pendingEvents() int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost > 0 || len(m.events) > 0 {
		return PollIn
	}
	if m.fd != nil {
		m.fd.Reset() // safe: put adds an event under the lock and signals afterwards
	}
	return 0
}

// deadline returns the end of a receive that begins now; the zero time means no end.
func (m *Monitor) deadline() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rcvTimeout < 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(m.rcvTimeout) * time.Millisecond)
}
