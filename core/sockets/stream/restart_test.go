// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
)

// A server process of TestRestarts gets its endpoint, the path of handovers and its key pair
// in these.
const (
	restartBind = "ZLINK_TEST_RESTART_BIND" // not set: it takes over
	restartPath = "ZLINK_TEST_RESTART_PATH"
	restartKeys = "ZLINK_TEST_RESTART_KEYS"

	// restartPause is the time in ms from one restart to the next, for measurements.
	restartPause = "ZLINK_TEST_RESTART_PAUSE"
)

// TestRestartServer is a process that TestRestarts starts: it serves until the next one has
// taken over and its own peers have gone.
func TestRestartServer(t *testing.T) {
	path := os.Getenv(restartPath)
	if path == "" {
		return
	}
	k, err := Open()
	must(t, err, "Open")
	cert, key, _ := strings.Cut(os.Getenv(restartKeys), ":")
	must(t, k.Set(WithTLSKeyPair(cert, key)), "settings")
	if endpoint := os.Getenv(restartBind); endpoint != "" {
		must(t, k.Bind(endpoint), "Bind")
	} else {
		eventually(t, "somebody hands over", func() bool {
			err = k.Takeover(path, patience)
			return errno.Of(err) != errno.ECONNREFUSED
		})
		must(t, err, "Takeover")
	}
	fmt.Println("serves", k.Addr())
	go func() {
		for {
			m, err := k.Recv(context.Background())
			if err != nil {
				return
			}
			if m.Kind == Data {
				_ = k.Send(context.Background(), m.Peer, m.Body)
			}
			m.Release()
		}
	}()
	must(t, k.Handover(path, patience), "Handover")
	must(t, k.Unbind(k.Addr()), "Unbind")
	eventually(t, "the last ones have gone", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.parts == partsOpen // a handshake is one until its connection is
	})
	must(t, k.Close(), "Close")
}

// visitServer connects, has a message echoed, and leaves.
func visitServer(transport, at string) error {
	conn, err := net.DialTimeout("tcp", at, patience)
	if err != nil {
		return err
	}
	_ = conn.(*net.TCPConn).SetLinger(0) // leaves no port in TIME_WAIT
	_ = conn.SetDeadline(time.Now().Add(patience))
	defer func() { _ = conn.Close() }()
	raw, answer := "\x00\x00\x00\x05hello", make([]byte, 9)
	switch transport {
	case "tls":
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, SessionTicketsDisabled: true})
	case "ws":
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"); err != nil {
			return err
		}
		head := make([]byte, 0, 256)
		for one := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); head = append(head, one[0]) {
			if _, err := io.ReadFull(conn, one); err != nil {
				return err
			}
		}
		raw, answer = "\x82\x89\x00\x00\x00\x00"+raw, make([]byte, 11)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if !strings.HasSuffix(string(answer), "hello") {
		return fmt.Errorf("the echo is %q", answer)
	}
	return nil
}

// TestRestarts replaces a server process several times under clients that connect, get an echo, and
// leave. For measurements: ZLINK_TEST_RESTART_PAUSE=1000 go test -v -run TestRestarts$ ...
func TestRestarts(t *testing.T) {
	pause := 10
	if text := os.Getenv(restartPause); text != "" {
		pause, _ = strconv.Atoi(text)
	}
	id := newIdentity(t, "127.0.0.1")
	self, err := os.Executable()
	must(t, err, "Executable")
	for _, transport := range []string{"tcp", "tls", "ws"} {
		restarts := fewer(8)
		Convey("Restarts break no connection over "+transport, t, func() {
			path := fmt.Sprintf("@zlink-restart-%d-%s", os.Getpid(), transport)
			var servers []*exec.Cmd
			start := func(bind string) (endpoint string) {
				c := exec.Command(self, "-test.run", "^TestRestartServer$")
				c.Env = append(os.Environ(), restartPath+"="+path, restartBind+"="+bind, restartKeys+"="+id.cert+":"+id.key)
				c.Stderr = os.Stderr
				out, err := c.StdoutPipe()
				must(t, err, "pipe")
				must(t, c.Start(), "start")
				servers = append(servers, c)
				lines := bufio.NewScanner(out)
				for lines.Scan() {
					if at, is := strings.CutPrefix(lines.Text(), "serves "); is {
						go func() { _, _ = io.Copy(io.Discard, out) }()
						return at
					}
				}
				t.Fatal("a server ends")
				return ""
			}
			at := address(start(transport + "://127.0.0.1:*"))
			var done, broken atomic.Int64
			var clients sync.WaitGroup
			stop := make(chan struct{})
			begin := time.Now()
			for range 4 {
				clients.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if err := visitServer(transport, at); err != nil {
							broken.Add(1)
							t.Logf("broken: %v", err)
						}
						done.Add(1)
					}
				})
			}
			for i := range restarts {
				before := done.Load()
				start("")
				must(t, servers[i].Wait(), "the end of server %d", i)
				eventually(t, "the next one serves", func() bool { return done.Load() > before+20 })
				time.Sleep(time.Duration(pause) * time.Millisecond)
			}
			close(stop)
			clients.Wait()
			seconds := time.Since(begin).Seconds()
			So(servers[restarts].Process.Kill(), ShouldBeNil)
			_ = servers[restarts].Wait()
			t.Logf("%s: %d connections in %.1f s, %.0f a second; %d broken", transport, done.Load(), seconds, float64(done.Load())/seconds, broken.Load())
			So(broken.Load(), ShouldEqual, 0)
		})
	}
}
