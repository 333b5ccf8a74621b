// SPDX-License-Identifier: MPL-2.0

package admin

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// maxReport limits what a Client believes: more is no report.
const maxReport = 16 << 20

// Client asks the server at a path. It connects when it is first asked, and again after a failure; a
// connection that has ended since the last question costs no answer. One goroutine at a time.
type Client struct {
	Path    string
	Timeout time.Duration // of one question

	conn net.Conn
	in   *bufio.Reader
	lim  *io.LimitedReader
}

// Ask returns a report.
func (c *Client) Ask() (Report, error) {
	deadline := time.Now().Add(c.Timeout)
	kept := c.conn != nil
	r, err := c.ask(deadline)
	if err != nil {
		c.Close()
		if kept && time.Now().Before(deadline) { // the server may have begun anew
			if r, err = c.ask(deadline); err != nil {
				c.Close()
			}
		}
	}
	return r, err
}

// Close ends the connection; another question makes a new one.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *Client) ask(deadline time.Time) (r Report, err error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("unix", c.Path, time.Until(deadline))
		if err != nil {
			return r, err
		}
		c.conn = conn
		c.lim = &io.LimitedReader{R: c.conn}
		c.in = bufio.NewReader(c.lim)
	}
	_ = c.conn.SetDeadline(deadline)
	if _, err = io.WriteString(c.conn, "stats\n"); err != nil {
		return r, err
	}
	c.lim.N = maxReport
	text, err := c.in.ReadBytes('\n')
	if err == io.EOF {
		err = errors.New("the server closed the connection; it may have all the readers it takes")
	}
	if err != nil {
		return r, err
	}
	if err = json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("what came is no report: %w", err)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	if r.Version != Version {
		return r, fmt.Errorf("the report is of version %d; this program reads version %d", r.Version, Version)
	}
	return r, nil
}
