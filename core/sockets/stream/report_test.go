// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core"
	"github.com/zlink/zlink/core/admin"
	"github.com/zlink/zlink/core/errno"
)

// ask returns a report that was made after the call.
func ask(t *testing.T, c *admin.Client) admin.Report {
	t.Helper()
	first, err := c.Ask()
	must(t, err, "ask")
	var r admin.Report
	eventually(t, "a new report", func() bool {
		r, err = c.Ask()
		must(t, err, "ask")
		return r.Monotonic != first.Monotonic
	})
	return r
}

func TestReport(t *testing.T) {
	bg := context.Background()
	Convey("A context tells of all its sockets", t, func() {
		ctx := newContext(t)
		path := filepath.Join(t.TempDir(), "admin")
		So(ctx.SetAdmin(path), ShouldBeNil)
		client := &admin.Client{Path: path, Timeout: patience}
		defer client.Close()

		r := ask(t, client)
		So(r.Version, ShouldEqual, admin.Version)
		So(r.PID, ShouldEqual, os.Getpid())
		So(r.Program, ShouldNotBeBlank)
		So(r.Sockets, ShouldBeEmpty)
		So(r.Drivers, ShouldBeEmpty)
		So(r.Memory.Resident, ShouldBeGreaterThan, 0)
		So(r.Memory.GoHeap, ShouldBeGreaterThan, 0)

		server, err := Listen("tcp://127.0.0.1:*", InContext(ctx), WithSendBytes(0), WithSendBytesTotal(0))
		So(err, ShouldBeNil)
		dialled, err := Dial(server.Addr(), InContext(ctx))
		So(err, ShouldBeNil)
		first, err := server.Recv(bg)
		So(err, ShouldBeNil)
		deaf, err := net.Dial("tcp", server.Addr()[len("tcp://"):])
		So(err, ShouldBeNil)
		second, err := server.Recv(bg)
		So(err, ShouldBeNil)
		So(server.Send(bg, first.Peer, []byte("hello")), ShouldBeNil)
		for range 64 { // more than the system takes of one that does not read
			So(server.Send(bg, second.Peer, make([]byte, 1<<20)), ShouldBeNil)
		}
		_, err = dialled.Recv(bg) // the connection
		So(err, ShouldBeNil)
		got, err := dialled.Recv(bg)
		So(err, ShouldBeNil)
		So(string(got.Body), ShouldEqual, "hello")
		got.Release()

		r = ask(t, client)
		So(r.Sockets, ShouldHaveLength, 2)
		s, d := r.Sockets[0], r.Sockets[1]
		So(s.Mode, ShouldEqual, "fast")
		So(s.Endpoints, ShouldResemble, []admin.Endpoint{{Kind: "listen", Text: server.Addr()}})
		So(d.Endpoints, ShouldResemble, []admin.Endpoint{{Kind: "dial", Text: server.Addr()}})
		So(d.ID, ShouldBeGreaterThan, s.ID)
		So(s.Connections, ShouldEqual, 2)
		So(s.Accepted, ShouldEqual, 2)
		So(s.MsgsOut, ShouldEqual, 65)
		So(s.MsgsQueued, ShouldBeGreaterThan, 0)
		So(d.MsgsIn, ShouldEqual, 1)
		So(r.Drivers, ShouldNotBeEmpty)
		So(r.Slowest, ShouldHaveLength, 1)
		So(r.Slowest[0].Socket, ShouldEqual, s.ID)
		So(r.Slowest[0].Remote, ShouldEqual, "tcp://"+deaf.LocalAddr().String())
		So(r.Slowest[0].BytesQueued, ShouldEqual, s.BytesQueued)

		must(t, deaf.Close(), "close")
		eventually(t, "a reason", func() bool { return len(ask(t, client).Sockets[0].Reasons) > 0 })
		must(t, dialled.Close(), "close")
		must(t, server.Set(WithLinger(0)), "linger")
		must(t, server.Close(), "close")
		eventually(t, "no socket", func() bool { return len(ask(t, client).Sockets) == 0 })
	})
}

func TestAdminFile(t *testing.T) {
	Convey("The file of the statistics", t, func() {
		ctx, path := core.NewContext(), filepath.Join(t.TempDir(), "admin")
		Convey("is the owner's, and goes with the context", func() {
			So(ctx.SetAdmin(path), ShouldBeNil)
			info, err := os.Lstat(path)
			So(err, ShouldBeNil)
			So(info.Mode(), ShouldEqual, os.ModeSocket|0o600)
			So(ctx.SetAdmin(path), ShouldBeNil) // once more
			So(ctx.Term(), ShouldBeNil)
			_, err = os.Lstat(path)
			So(errors.Is(err, os.ErrNotExist), ShouldBeTrue)
			So(errno.Of(ctx.SetAdmin(path)), ShouldEqual, errno.ETERM)
			So(ctx.SetAdmin(""), ShouldBeNil)
		})
		Convey("replaces one that was left behind, and no other", func() {
			l, err := net.Listen("unix", path)
			So(err, ShouldBeNil)
			So(errno.Of(ctx.SetAdmin(path)), ShouldEqual, errno.EADDRINUSE)
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			must(t, l.Close(), "close")
			So(ctx.SetAdmin(path), ShouldBeNil)
			So(ctx.SetAdmin(""), ShouldBeNil)
			must(t, os.WriteFile(path, []byte("mine"), 0o644), "file")
			So(errno.Of(ctx.SetAdmin(path)), ShouldEqual, errno.EADDRINUSE)
			text, err := os.ReadFile(path)
			So(err, ShouldBeNil)
			So(string(text), ShouldEqual, "mine")
			So(ctx.Term(), ShouldBeNil)
		})
		Convey("needs a path", func() {
			So(errno.Of(ctx.SetAdmin("@abstract")), ShouldEqual, errno.EINVAL)
			So(errno.Of(ctx.SetAdmin(filepath.Join(path, "under"))), ShouldEqual, errno.ENOENT)
			So(errno.Of(ctx.SetAdmin(string(make([]byte, 200)))), ShouldEqual, errno.EINVAL)
			So(ctx.Term(), ShouldBeNil)
		})
	})
}

func TestReportsUnderLoad(t *testing.T) {
	bg := context.Background()
	Convey("Reports while connections come and go, and while the context ends", t, func() {
		ctx, path := core.NewContext(), filepath.Join(t.TempDir(), "admin")
		So(ctx.SetAdmin(path), ShouldBeNil)
		server, err := Listen("tcp://127.0.0.1:*", InContext(ctx))
		So(err, ShouldBeNil)
		go func() {
			for {
				m, err := server.Recv(bg)
				if err != nil {
					return
				}
				m.Release()
			}
		}()
		asked := make(chan int, 1)
		go func() {
			n := 0
			client := admin.Client{Path: path, Timeout: patience}
			for ; ; n++ {
				if _, err := client.Ask(); err != nil {
					client.Close()
					asked <- n
					return
				}
			}
		}()
		for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
			c, err := net.Dial("tcp", server.Addr()[len("tcp://"):])
			must(t, err, "dial")
			_, _ = c.Write([]byte{0, 0, 0, 1, 'x'})
			_ = c.Close()
		}
		must(t, server.Close(), "close")
		within(t, patience, "Term", func() { _ = ctx.Term() })
		So(<-asked, ShouldBeGreaterThan, 0)
	})
}
