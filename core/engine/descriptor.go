// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/zlink/zlink/core/sys"
)

// descriptor is the bottom of a connection's stack of layers once their handshakes are
// over. Driver only.
type descriptor struct {
	fd      int32
	drained bool          // the last read took everything, and no report has come since
	ending  bool          // the kernel has reported the end; a read shows whether it has been reached
	heard   bool          // something has come since the last check
	short   bool          // the kernel had no memory for the last call
	turn    int           // bytes, prices included, that may still be read before others have their turn
	rest    time.Duration // for which a layer wants nothing to be read; 0: none does
}

// errAgain means that the kernel has nothing now. The error is temporary, so crypto/tls
// continues with the next read.
var errAgain net.Error = againError{}

type againError struct{}

func (againError) Error() string   { return "nothing to read now" }
func (againError) Timeout() bool   { return true }
func (againError) Temporary() bool { return true }

// read reads within the limits of the turn. errAgain: nothing is there, or the turn is over.
func (d *descriptor) read(buf []byte) (n int, err error) {
	if d.drained || d.turn <= 0 {
		return 0, errAgain
	}
	buf = buf[:min(len(buf), d.turn)]
	if n, d.short, err = receive(int(d.fd), buf); err == nil {
		d.heard = true
		d.turn -= n
		d.drained = !d.ending && n < len(buf)
	}
	return n, err
}

// receive reads once. short: the kernel had no memory, and no report will follow.
func receive(fd int, buf []byte) (n int, short bool, err error) {
	for {
		n, e := sys.Recv(fd, buf)
		switch {
		case e == sys.EINTR:
		case e == sys.EAGAIN, sys.OutOfMemory(e):
			return 0, e != sys.EAGAIN, errAgain
		case e != 0:
			return 0, false, fmt.Errorf("read: %w", e) // wrapped: crypto/tls must not see a net.Error that says temporary
		case n == 0:
			return 0, false, io.EOF
		default:
			return n, false, nil
		}
	}
}
