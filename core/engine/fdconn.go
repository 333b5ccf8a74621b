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
	refusalTime  = time.Second // that a refused peer may take to end its stream
	refusalBytes = 1 << 20     // that it may send until then
)

// fdConn is a descriptor during the handshakes of its layers. Their goroutine reads and
// writes, and waits where the kernel has nothing; the shard's reports end the wait
// (signal), and so does abort. The descriptor is closed by nobody else meanwhile.
type fdConn struct {
	fd    int
	short bool // the kernel had no memory for the last call

	mu      sync.Mutex
	changed sync.Cond // with mu
	aborted error     // ends every call of the goroutine; guarded by mu

	gate     *gate   // of the handshake
	owner    Owner   // of the handshake; nil: what it holds is not counted
	counted  int64   // bytes of memory that are counted; the goroutine's while it runs
	offered  int     // size of the largest buffer to read into
	intake   *intake // until something is written; nil: not encrypted
	answered bool    // something was written
	refusing bool    // what comes is dropped

	waitedNs  atomic.Int64 // for the peer, in waits that are over
	waitsFrom atomic.Int64 // start of the present wait, since 1970; 0: there is none
}

func newFdConn(fd int) *fdConn {
	c := &fdConn{fd: fd}
	c.changed.L = &c.mu
	return c
}

// signal ends a wait, after a report of the kernel. The driver.
func (c *fdConn) signal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed.Broadcast()
}

// abort makes the goroutine's calls fail from now on; when it returns, none is
// in a system call. Any thread.
func (c *fdConn) abort(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted = err
	c.changed.Broadcast()
}

// endRefused ends a refused peer's stream and waits until it does the same, for up
// to refusalTime, less when others wait for a place: what tells it why would be lost if its bytes met a closed
// descriptor. The goroutine.
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

// Write writes all of data, and waits where the kernel takes no more.
func (c *fdConn) Write(data []byte) (int, error) {
	if !c.answered {
		c.answered = true
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
		if c.short { // of that, no report will tell
			c.short = false
			time.AfterFunc(shortPause, c.signal)
		}
		c.wait()
	}
}

// What a handshake holds is not to be seen from outside of crypto/tls, so it is
// reckoned from what goes through the descriptor, in bytes; the numbers are
// measured, after a collection.
const (
	waitingSize = 800      // it has not begun
	begunSize   = 5 << 10  // it has: a goroutine, and the state of TLS
	answerSize  = 22 << 10 // it has answered: keys, and what is kept of the exchange
)

// heldPerByte is what is kept for n bytes of a head, beside the buffer they came to.
func heldPerByte(n int) int64 { return int64(n) * 7 / 3 }

// keep counts what is kept of data.
func (c *fdConn) keep(data []byte) {
	switch {
	case c.intake != nil:
		c.grow(c.intake.came(data))
	case !c.answered:
		c.grow(heldPerByte(len(data)))
	}
}

// grow holds more, with what Go's heap rounds up. What was held before may be garbage
// now, as much again.
func (c *fdConn) grow(bytes int64) {
	if bytes > 0 {
		c.countMemory(bytes + bytes/16)
		leaves(bytes)
	}
}

// countMemory counts what the handshake has, or what it gives back.
func (c *fdConn) countMemory(bytes int64) {
	if c.owner != nil {
		c.counted += bytes
		c.owner.Holds(bytes)
	}
}

// wait waits for a report, and uses no processor's time meanwhile. mu is held.
func (c *fdConn) wait() {
	c.gate.rest()
	from := time.Now()
	c.waitsFrom.Store(from.UnixNano())
	c.changed.Wait()
	c.waitedNs.Add(int64(time.Since(from)))
	c.waitsFrom.Store(0)
	c.mu.Unlock() // abort must not wait for a processor
	c.gate.compute()
	c.mu.Lock()
}

// waited is how long the goroutine has waited for the peer. Any thread.
func (c *fdConn) waited() time.Duration {
	waited := c.waitedNs.Load()
	if from := c.waitsFrom.Load(); from != 0 {
		waited += time.Now().UnixNano() - from
	}
	return time.Duration(max(0, waited))
}
