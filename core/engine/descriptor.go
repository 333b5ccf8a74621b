// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/zlink/zlink/core/sys"
)

// descriptor is what lies below the layers of a connection once their handshakes are
// over. Driver only.
type descriptor struct {
	fd      int
	turn    int           // bytes that may still be read before others have their turn, prices included
	drained bool          // the last read took all there was, and no report came since
	ending  bool          // the kernel has reported the end: a read says whether it is there
	heard   bool          // something came since that was last looked at
	short   bool          // the kernel had no memory for the last call
	rest    time.Duration // for which a layer wants nothing to be read; 0: none does
}

// errAgain says that the kernel has nothing now. It is temporary, so crypto/tls
// goes on where it was with the next read.
var errAgain net.Error = againError{}

type againError struct{}

func (againError) Error() string   { return "nothing to read now" }
func (againError) Timeout() bool   { return true }
func (againError) Temporary() bool { return true }

// read reads as far as the turn goes; errAgain: nothing is there, or the turn is over.
func (d *descriptor) read(buf []byte) (n int, err error) {
	if d.drained || d.turn <= 0 {
		return 0, errAgain
	}
	buf = buf[:min(len(buf), d.turn)]
	if n, d.short, err = receive(d.fd, buf); err == nil {
		d.heard = true
		d.turn -= n
		d.drained = !d.ending && n < len(buf)
	}
	return n, err
}

// receive reads once. short: the kernel had no memory, of which no report will tell.
func receive(fd int, buf []byte) (n int, short bool, err error) {
	for {
		n, e := sys.Recv(fd, buf)
		switch {
		case e == sys.EINTR:
		case e == sys.EAGAIN, sys.OutOfMemory(e):
			return 0, e != sys.EAGAIN, errAgain
		case e != 0:
			return 0, false, fmt.Errorf("read: %w", e) // wrapped: no net.Error that crypto/tls may take for temporary
		case n == 0:
			return 0, false, io.EOF
		default:
			return n, false, nil
		}
	}
}
