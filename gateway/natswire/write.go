// SPDX-License-Identifier: MPL-2.0

package natswire

import (
	"errors"
	"strconv"
	"time"
)

const (
	bufferMost = 256 << 10 // bytes in the buffer, above which Publish waits
	answerMost = 1 << 20   // above which TryPublish gives up
	stuckMost  = 8 << 20   // above which the connection is given up
	spareMost  = 1 << 20   // a longer buffer is not kept
)

// Line returns what Publish wants to have of a message: "HPUB", the subject and the reply subject, if there is one.
func Line(subject, reply string) string {
	if reply != "" {
		subject += " " + reply
	}
	return "HPUB " + subject + " "
}

// Publish appends a message with the line of Line. header is "", or a whole block of headers. It waits while NATS is away, or the buffer is full.
func (c *Conn) Publish(line, header string, body []byte) error {
	return c.PublishMany(1, line, header, body)
}

// PublishMany is Publish of what counts as several messages when it is in doubt.
func (c *Conn) PublishMany(count int, line, header string, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int64(len(header)+len(body)) > c.most.Load() {
		return ErrTooLong
	}
	for waited := false; c.net == nil || len(c.buf) >= bufferMost; {
		if c.net != nil && c.cause == nil && !c.writing {
			began := time.Now()
			if c.flush(); time.Since(began) > stallAfter {
				c.stalls.Add(1)
			}
			continue
		}
		if c.stopped {
			return ErrStopped
		}
		if !waited {
			waited = true
			c.stalls.Add(1)
		}
		c.room.Wait()
	}
	if c.closed {
		return ErrStopped
	}
	c.put(line, header, body)
	c.published += uint64(count)
	return nil
}

// TryPublish is Publish that does not wait, and has the message written soon.
func (c *Conn) TryPublish(line, header string, body []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.net == nil || c.closed || len(c.buf) >= answerMost || int64(len(header)+len(body)) > c.most.Load() {
		return false
	}
	c.put(line, header, body)
	c.published++
	c.wakeWriter()
	return true
}

// put appends a message. The caller holds mu.
func (c *Conn) put(line, header string, body []byte) {
	before := len(c.buf)
	if header == "" {
		c.buf = append(c.buf, line[1:]...)
	} else {
		c.buf = append(c.buf, line...)
		c.buf = strconv.AppendInt(c.buf, int64(len(header)), 10)
		c.buf = append(c.buf, ' ')
	}
	c.buf = strconv.AppendInt(c.buf, int64(len(header)+len(body)), 10)
	c.buf = append(c.buf, "\r\n"...)
	c.buf = append(c.buf, header...)
	c.buf = append(c.buf, body...)
	c.buf = append(c.buf, "\r\n"...)
	c.appended += uint64(len(c.buf) - before)
}

// line appends what is no message. The caller holds mu.
func (c *Conn) line(text string) {
	if len(c.buf) > stuckMost && c.net != nil {
		c.fail(c.net, errors.New("NATS takes nothing"))
	}
	c.buf = append(c.buf, text...)
	c.appended += uint64(len(text))
}

// Buffered returns the bytes that the next Flush has to write.
func (c *Conn) Buffered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.buf)
}

// stallAfter is how long a Flush may take before that counts as a stall.
const stallAfter = 100 * time.Millisecond

// Flush writes what is in the buffer, unless somebody else does.
func (c *Conn) Flush() {
	began := time.Now()
	c.mu.Lock()
	c.flush()
	c.mu.Unlock()
	if time.Since(began) > stallAfter {
		c.stalls.Add(1)
	}
}

// flush is Flush; the caller holds mu, which is free meanwhile.
func (c *Conn) flush() {
	for !c.writing && c.net != nil && c.cause == nil && len(c.buf) > 0 {
		block, to := c.buf, c.net
		c.buf, c.spare = c.spare[:0], nil
		c.handed, c.given, c.writing = c.appended, c.published, true
		c.mu.Unlock()
		err := to.SetWriteDeadline(time.Now().Add(c.c.StuckFor))
		if err == nil {
			_, err = to.Write(block)
		}
		c.mu.Lock()
		c.writing = false
		if cap(block) <= spareMost {
			c.spare = block
		}
		c.room.Broadcast()
		if err != nil {
			c.fail(to, err)
		}
	}
}

// Hold keeps everybody from writing, as a server does that takes nothing, until the function that it returns is called. For tests.
func (c *Conn) Hold() (free func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing {
		c.room.Wait()
	}
	c.writing = true
	return func() {
		c.mu.Lock()
		c.writing = false
		c.room.Broadcast()
		c.mu.Unlock()
		c.wakeWriter()
	}
}

// Wake has the buffer written soon, for those who may not wait.
func (c *Conn) Wake() { c.wakeWriter() }

// wakeWriter has the buffer written by the goroutine for it.
func (c *Conn) wakeWriter() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// write writes for those who may not wait.
func (c *Conn) write() {
	for {
		select {
		case <-c.quit:
			return
		case <-c.kick:
			c.mu.Lock()
			c.flush()
			c.mu.Unlock()
		}
	}
}
