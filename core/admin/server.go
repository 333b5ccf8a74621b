// SPDX-License-Identifier: MPL-2.0

package admin

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

const (
	maxReaders = 8   // at once; whoever comes then is turned away
	maxRequest = 128 // bytes of a line

	idleTimeout  = time.Minute     // of a reader that asks nothing
	writeTimeout = 5 * time.Second // of one that does not read

	// A report walks over all connections, and the io threads wait for the same locks. So
	// however many readers ask, it is made at most once in minPause, and at most a tenth of
	// the time goes into it.
	minPause   = 100 * time.Millisecond
	pauseTimes = 9

	acceptPause = 100 * time.Millisecond // after the system had no room for a connection
)

// Server answers readers on goroutines of its own.
type Server struct {
	listener net.Listener
	report   func() Report
	done     sync.WaitGroup

	mu      sync.Mutex
	readers map[*net.UnixConn]struct{}
	closed  bool

	making sync.Mutex // guards the rest: one report is made at a time
	text   []byte     // the last report
	next   time.Time  // when a new one may be made
}

// Serve answers those that connect to a listening local descriptor, which is the server's
// from now on, also after an error.
func Serve(fd int, report func() Report) (*Server, error) {
	file := os.NewFile(uintptr(fd), "admin")
	listener, err := net.FileListener(file) // has a copy of the descriptor
	_ = file.Close()
	if err != nil {
		return nil, errno.New(errno.Of(err), "cannot serve statistics: %v", err)
	}
	s := &Server{listener: listener, report: report, readers: map[*net.UnixConn]struct{}{}}
	s.done.Add(1)
	go s.accept()
	return s, nil
}

// Close ends all readers and waits for the goroutines. A report that is being made is waited for.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	_ = s.listener.Close()
	for c := range s.readers {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

func (s *Server) accept() {
	defer s.done.Done()
	for {
		c, err := s.listener.Accept()
		switch {
		case err == nil:
			s.enter(c.(*net.UnixConn))
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(acceptPause)
		}
	}
}

// enter answers a reader unless there are too many.
func (s *Server) enter(c *net.UnixConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.readers) == maxReaders {
		_ = c.Close()
		return
	}
	s.readers[c] = struct{}{}
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		s.answer(c)
		s.leave(c)
	}()
}

func (s *Server) leave(c *net.UnixConn) {
	_ = c.Close()
	s.mu.Lock()
	delete(s.readers, c)
	last := len(s.readers) == 0
	s.mu.Unlock()
	if last {
		s.making.Lock()
		s.text = nil
		s.making.Unlock()
	}
}

// answer answers each line of a reader until it goes, is silent, or does not read.
func (s *Server) answer(c *net.UnixConn) {
	line := make([]byte, 0, maxRequest)
	for {
		request, rest, ok := cutLine(line)
		if ok {
			if !write(c, s.reply(request)) {
				return
			}
			line = line[:copy(line, rest)]
			continue
		}
		if len(line) == maxRequest {
			return
		}
		_ = c.SetReadDeadline(time.Now().Add(idleTimeout))
		n, err := c.Read(line[len(line):maxRequest])
		if err != nil {
			return
		}
		line = line[:len(line)+n]
	}
}

func cutLine(b []byte) (line string, rest []byte, ok bool) {
	for i, c := range b {
		if c == '\n' {
			return string(b[:i]), b[i+1:], true
		}
	}
	return "", nil, false
}

// reply returns the answer to a request. Readers must not change it.
func (s *Server) reply(request string) []byte {
	if request != "stats" {
		return encode(Report{Version: Version, Error: "the only request is: stats"})
	}
	s.making.Lock()
	defer s.making.Unlock()
	if begin := time.Now(); s.text == nil || !begin.Before(s.next) {
		r := s.report()
		took := time.Since(begin)
		r.Version, r.Took = Version, took.Nanoseconds()
		s.text = encode(r)
		s.next = time.Now().Add(max(minPause, pauseTimes*took))
	}
	return s.text
}

func encode(r Report) []byte {
	text, err := json.Marshal(r)
	if err != nil { // no type of a report can fail
		text = []byte(`{"version":1,"error":"the report cannot be written"}`)
	}
	return append(text, '\n')
}

// write writes all bytes. false: the reader has gone, or does not read. The system must not
// raise SIGPIPE, which belongs to the host, so net's own Write is not used.
func write(c *net.UnixConn, text []byte) bool {
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Write(func(fd uintptr) bool {
		for len(text) > 0 {
			n, e := sys.Send(int(fd), text)
			switch {
			case e == sys.EINTR:
			case e == sys.EAGAIN:
				return false
			case e != 0:
				gone = true
				return true
			default:
				text = text[n:]
			}
		}
		return true
	})
	return err == nil && !gone
}
