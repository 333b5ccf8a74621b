// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// wire is one connection of a client: messages behind a length of 4 bytes over tcp, or messages of
// WebSocket.
type wire struct {
	net  net.Conn
	in   *bufio.Reader // the bytes of the transport
	body io.Reader     // those of its messages
	web  *webReader    // nil over tcp
	out  []byte
}

const (
	maxBody    = 1 << 20
	webRequest = "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

var mask = [4]byte{0x5a, 0x31, 0xc7, 0x0f}

// dialWire connects, and makes the handshake of WebSocket on a path that is not "".
func dialWire(address, path string, buffer int, patience time.Duration) (*wire, error) {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	w := &wire{net: c, in: bufio.NewReaderSize(c, buffer)}
	w.body = w.in
	if path == "" {
		return w, nil
	}
	if err := w.upgrade(address, path, patience); err != nil {
		c.Close()
		return nil, err
	}
	return w, nil
}

func (w *wire) upgrade(address, path string, patience time.Duration) error {
	if err := w.net.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w.net, webRequest, path, address); err != nil {
		return err
	}
	status, err := w.in.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(status, " 101 ") {
		return fmt.Errorf("the upgrade was refused: %s", strings.TrimSpace(status))
	}
	for line := status; line != "\r\n"; {
		if line, err = w.in.ReadString('\n'); err != nil {
			return err
		}
	}
	w.web = &webReader{w: w}
	w.body = w.web
	return w.net.SetDeadline(time.Time{})
}

// send writes one message.
func (w *wire) send(body []byte) error {
	w.queue(body)
	return w.flush()
}

// queue appends one message to what flush writes.
func (w *wire) queue(body []byte) {
	if w.web == nil {
		w.out = append(binary.BigEndian.AppendUint32(w.out, uint32(len(body))), body...)
		return
	}
	w.out = appendWebHead(w.out, 2, len(body))
	at := len(w.out)
	w.out = append(w.out, body...)
	masked(w.out[at:])
}

func (w *wire) flush() error {
	_, err := w.net.Write(w.out)
	w.out = w.out[:0]
	return err
}

// receive reads one message into buf, or into a longer one.
func (w *wire) receive(buf []byte) ([]byte, error) {
	if w.web != nil {
		return w.web.message(buf)
	}
	var head [4]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head[:]))
	if size > maxBody {
		return nil, fmt.Errorf("a message of %d bytes", size)
	}
	buf = slices.Grow(buf[:0], size)[:size]
	_, err := io.ReadFull(w.in, buf)
	return buf, err
}

func (w *wire) close() { w.net.Close() }

// appendWebHead appends the head of a masked message.
func appendWebHead(out []byte, opcode byte, size int) []byte {
	out = append(out, 0x80|opcode)
	switch {
	case size < 126:
		out = append(out, 0x80|byte(size))
	case size < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(size))
	default:
		out = binary.BigEndian.AppendUint64(append(out, 0x80|127), uint64(size))
	}
	return append(out, mask[:]...)
}

func masked(b []byte) {
	for i := range b {
		b[i] ^= mask[i&3]
	}
}

// webReader is the payload of the binary and text messages that come. It answers pings.
type webReader struct {
	w    *wire
	left int  // of the frame
	last bool // it ends the message
}

// message reads one whole message.
func (r *webReader) message(buf []byte) ([]byte, error) {
	buf = buf[:0]
	for {
		if err := r.next(); err != nil {
			return nil, err
		}
		size := len(buf)
		if r.left > maxBody-size {
			return nil, fmt.Errorf("a message of more than %d bytes", maxBody)
		}
		buf = slices.Grow(buf, r.left)[:size+r.left]
		if _, err := io.ReadFull(r.w.in, buf[size:]); err != nil {
			return nil, err
		}
		r.left = 0
		if r.last {
			return buf, nil
		}
	}
}

var errFarewell = errors.New("the server ended the connection")

func (r *webReader) Read(p []byte) (int, error) {
	for r.left == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n, err := r.w.in.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

// next reads the head of the next frame that has a part of a message.
func (r *webReader) next() error {
	for {
		opcode, size, err := r.head()
		if err != nil {
			return err
		}
		if opcode < 8 {
			r.left = size
			return nil
		}
		if err := r.control(opcode, size); err != nil {
			return err
		}
	}
}

func (r *webReader) head() (opcode byte, size int, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r.w.in, head[:2]); err != nil {
		return 0, 0, err
	}
	opcode, size = head[0]&15, int(head[1]&0x7f)
	if opcode < 8 {
		r.last = head[0]&0x80 != 0
	}
	switch size {
	case 126:
		if _, err := io.ReadFull(r.w.in, head[:2]); err != nil {
			return 0, 0, err
		}
		size = int(binary.BigEndian.Uint16(head[:2]))
	case 127:
		if _, err := io.ReadFull(r.w.in, head[:8]); err != nil {
			return 0, 0, err
		}
		size = int(binary.BigEndian.Uint64(head[:8]))
	}
	return opcode, size, nil
}

func (r *webReader) control(opcode byte, size int) error {
	body := make([]byte, size&0x7f)
	if _, err := io.ReadFull(r.w.in, body); err != nil {
		return err
	}
	switch opcode {
	case 8:
		if len(body) >= 2 {
			return fmt.Errorf("%w: code %d %s", errFarewell, binary.BigEndian.Uint16(body), body[2:])
		}
		return errFarewell
	case 9:
		pong := append(appendWebHead(nil, 10, len(body)), body...)
		masked(pong[len(pong)-len(body):])
		_, err := r.w.net.Write(pong)
		return err
	}
	return nil
}
