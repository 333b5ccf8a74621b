// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zlink/zlink/core/sys"
)

const (
	refusalTime  = time.Second // limit for a refused peer to end its stream
	refusalBytes = 1 << 20     // limit of what it may send until then
)

// fdConn is a descriptor during the handshakes of its layers. Their goroutine reads and
// writes, and waits when the kernel has nothing. A report of the shard (signal) or abort
// ends the wait. Nobody else closes the descriptor meanwhile.
type fdConn struct {
	fd    int
	short bool // the kernel had no memory for the last call

	mu      sync.Mutex
	changed sync.Cond // with mu
	aborted error     // ends every call of the goroutine; guarded by mu

	decision *Decision // of the application; guarded by mu

	gate     *gate       // of the handshake
	aside    func()      // tells the gate that the peer keeps its handshake waiting; nil: the gate knows, or there is none
	owner    Owner       // of the handshake; nil: its memory is not counted
	counted  int64       // bytes of counted memory; belongs to the goroutine while that runs
	offered  int         // size of the largest buffer to read into
	intake   *intake     // until something is written; nil: the connection is not encrypted
	answered atomic.Bool // something was written
	refusing bool        // input is dropped
	lingers  bool        // only waits for the peer's end; guarded by the gate's mu

	waitedNs  atomic.Int64 // time spent waiting for the peer, without the present wait
	waitsFrom atomic.Int64 // start of the present wait, since 1970; 0: no wait
}

func newFdConn(fd int) *fdConn {
	c := &fdConn{fd: fd}
	c.changed.L = &c.mu
	return c
}

// signal ends a wait after a report of the kernel. The driver calls it.
func (c *fdConn) signal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed.Broadcast()
}

// abort makes the goroutine's calls fail from now on. When abort returns, none of them is
// in a system call. Any thread.
func (c *fdConn) abort(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted = err
	c.changed.Broadcast()
}

// endRefused ends the stream to a refused peer and waits for the peer to end its own, up to
// refusalTime, or less when others wait for a place. If the peer's bytes met a closed
// descriptor, the explanation sent to it would be lost. The goroutine calls it.
func (c *fdConn) endRefused() {
	c.refusing = true
	_, err := c.await(func() (int, error) { return 0, sys.EndStream(c.fd) })
	if err != nil {
		return
	}
	defer c.gate.gone(c.gate.lingers(c))
	over := time.AfterFunc(refusalTime, func() { c.abort(os.ErrDeadlineExceeded) })
	defer over.Stop()
	_, _ = io.CopyN(io.Discard, c, refusalBytes)
}

// Read waits for bytes and reads them.
func (c *fdConn) Read(buf []byte) (int, error) {
	if len(buf) == 0 {
		return 0, nil
	}
	if len(buf) > c.offered && !c.refusing {
		c.grow(int64(len(buf) - c.offered))
		c.offered = len(buf)
	}
	n, err := c.await(func() (n int, err error) {
		n, c.short, err = receive(c.fd, buf)
		return n, err
	})
	if n > 0 && !c.refusing {
		c.keep(buf[:n])
	}
	return n, err
}

// Write writes all of data, and waits while the kernel takes no more.
func (c *fdConn) Write(data []byte) (int, error) {
	if !c.answered.Load() {
		c.answered.Store(true)
		c.intake = nil
		c.grow(answerSize)
	}
	done := 0
	for done < len(data) {
		n, err := c.await(func() (int, error) {
			n, e := sys.Send(c.fd, data[done:])
			switch {
			case e == 0:
				return n, nil
			case e == sys.EAGAIN, e == sys.EINTR, sys.OutOfMemory(e):
				c.short = e != sys.EAGAIN
				return 0, errAgain
			}
			return 0, fmt.Errorf("write: %w", e)
		})
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// await repeats call after each report until it has a result.
func (c *fdConn) await(call func() (int, error)) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.aborted != nil {
			return 0, c.aborted
		}
		n, err := call()
		if err != errAgain {
			return n, err
		}
		if c.short { // no report will follow that
			c.short = false
			time.AfterFunc(shortPause, c.signal)
		}
		if c.stepsAside() {
			continue
		}
		c.wait()
	}
}

// stepsAside takes the handshake out of the gate's window, once, if its peer has sent only a part of
// what it has to say first. mu is held, but not meanwhile. It reports whether it did, and then the
// call has to be repeated.
func (c *fdConn) stepsAside() bool {
	if c.aside == nil || c.answered.Load() {
		return false
	}
	aside := c.aside
	c.aside = nil
	c.mu.Unlock() // the gate's mu comes before this one
	aside()
	c.mu.Lock()
	return true
}

// The memory that a handshake holds cannot be seen from outside crypto/tls. It is estimated
// in bytes from what passes through the descriptor. The numbers were measured after a
// collection.
const (
	waitingSize = 800      // the handshake has not begun
	begunSize   = 5 << 10  // it has begun: a goroutine, and the state of TLS
	answerSize  = 22 << 10 // it has answered: keys, and the kept part of the exchange
)

// heldPerByte returns what n bytes of a head keep besides the buffer that they were read to.
func heldPerByte(n int) int64 { return int64(n) * 7 / 3 }

// keep counts the memory that data keeps.
func (c *fdConn) keep(data []byte) {
	switch {
	case c.intake != nil:
		c.grow(c.intake.came(data))
	case !c.answered.Load():
		c.grow(heldPerByte(len(data)))
	}
}

// grow holds more memory, rounded up as Go's heap does. What was held before may now be
// garbage of the same size.
func (c *fdConn) grow(bytes int64) {
	if bytes > 0 {
		c.countMemory(bytes + bytes/16)
		leaves(bytes)
	}
}

// countMemory counts memory that the handshake gets, or, if negative, releases.
func (c *fdConn) countMemory(bytes int64) {
	if c.owner != nil {
		c.counted += bytes
		c.owner.Holds(bytes)
	}
}

// wait waits for a report and leaves the processor to others meanwhile. mu is held.
func (c *fdConn) wait() {
	c.gate.rest()
	from := time.Now()
	c.waitsFrom.Store(from.UnixNano())
	c.changed.Wait()
	c.waitedNs.Add(int64(time.Since(from)))
	c.waitsFrom.Store(0)
	c.mu.Unlock() // abort must not wait until a processor is free
	c.gate.compute()
	c.mu.Lock()
}

// waited returns how long the goroutine has waited for the peer. Any thread.
func (c *fdConn) waited() time.Duration {
	waited := c.waitedNs.Load()
	if from := c.waitsFrom.Load(); from != 0 {
		waited += time.Now().UnixNano() - from
	}
	return time.Duration(max(0, waited))
}
