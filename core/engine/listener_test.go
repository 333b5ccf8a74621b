// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/sys"
)

func TestListenReportsWhatThePollerRefuses(t *testing.T) {
	Convey("A listener that the kernel would not report is not there", t, func() {
		poller, err := sys.OpenPoller()
		So(err, ShouldBeNil)
		poller.Close() // from here on it refuses everything
		sh := &Shard{poller: poller}
		owner := &ownerStub{shared: shm.NewQueues()}
		Reset(func() { shm.FreeQueues(owner.shared) })
		transport := func(kind *endpoint.Scheme) *Transport {
			return &Transport{Endpoint: endpoint.Endpoint{Scheme: kind}}
		}

		Convey("for a port, which is free again", func() {
			at := netip.MustParseAddrPort("127.0.0.1:0")
			l, err := Listen(sh, transport(endpoint.TCP), Address{AddrPort: at}, owner, TCPOptions{}, Limits{}, nil)
			So(l, ShouldBeNil)
			So(err, ShouldNotBeNil)
		})
		Convey("for a path, whose file is removed", func() {
			path := filepath.Join(t.TempDir(), "server")
			l, err := Listen(sh, transport(endpoint.IPC), Address{Path: path}, owner, TCPOptions{}, Limits{}, nil)
			So(l, ShouldBeNil)
			So(err, ShouldNotBeNil)
			_, err = os.Lstat(path)
			So(os.IsNotExist(err), ShouldBeTrue)
		})
		Convey("for a descriptor that was given, which stays the caller's", func() {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			So(err, ShouldBeNil)
			file, err := l.(*net.TCPListener).File()
			So(err, ShouldBeNil)
			_, err = ListenOn(sh, int(file.Fd()), transport(endpoint.TCP), owner, TCPOptions{}, Limits{}, nil)
			So(err, ShouldNotBeNil)
			_, err = unix.FcntlInt(file.Fd(), unix.F_GETFD, 0)
			So(err, ShouldBeNil)
			_ = file.Close()
			_ = l.Close()
		})
	})
}

func TestUnbindTakesInTurns(t *testing.T) {
	Convey("Unbind takes all that wait, some in each round, and then the listener ends", t, func() {
		const clients = 3*acceptBatch + 1
		g := newStage(t)
		at := Address{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
		transport := &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}}
		l, err := Listen(g.sh, transport, at, g.owner, TCPOptions{Backlog: clients}, Limits{MaxMsgSize: -1}, func() *Shard { return g.sh })
		So(err, ShouldBeNil)
		for range clients {
			c, err := net.Dial("tcp", l.Local.String())
			So(err, ShouldBeNil)
			Reset(func() { _ = c.Close() })
		}
		l.Unbind()
		taken := 0
		g.until("all are taken", func() bool {
			now := g.sh.Connections()
			So(now-taken, ShouldBeLessThanOrEqualTo, acceptBatch)
			So(l.fd >= 0, ShouldEqual, now < clients)
			taken = now
			return now == clients
		})
	})
}

func TestSharedPort(t *testing.T) {
	Convey("Of a port that others share, the queue is taken and stays as long, until the listener ends", t, func() {
		const clients = 5
		g := newStage(t)
		listen := func(at string) *Listener {
			l, err := Listen(g.sh, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}}, Address{AddrPort: netip.MustParseAddrPort(at)},
				g.owner, TCPOptions{Backlog: clients, ReusePort: true}, Limits{MaxMsgSize: -1}, func() *Shard { return g.sh })
			So(err, ShouldBeNil)
			return l
		}
		dial := func(l *Listener) {
			for range clients {
				c, err := net.DialTimeout("tcp", l.Local.String(), patience)
				So(err, ShouldBeNil)
				Reset(func() { _ = c.Close() })
			}
		}
		l := listen("127.0.0.1:0")
		dial(l)
		l.closing.Lock()
		waiting := l.drain()
		l.closing.Unlock()
		So(waiting, ShouldHaveLength, clients)
		dial(l) // of a queue that was closed, all but one would wait in vain
		l.shard.Post(func() { l.takeWaiting(waiting) })
		l.stop()
		g.until("the first ones are taken", func() bool { return g.sh.Connections() == clients && l.fd < 0 })
		other := listen(l.Local.String())
		dial(other)
		g.until("the others come to who is left", func() bool { return g.sh.Connections() == 2*clients })
		other.Close()
		g.until("its end", func() bool { return other.fd < 0 })
	})
}

func TestLentQueue(t *testing.T) {
	Convey("The queue of a listener whose descriptor another process has", t, func() {
		const clients = 3
		g := newStage(t)
		l, err := Listen(g.sh, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}}, Address{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")},
			g.owner, TCPOptions{Backlog: 2 * clients}, Limits{MaxMsgSize: -1}, func() *Shard { return g.sh })
		So(err, ShouldBeNil)
		dial := func() {
			for range clients {
				c, err := net.DialTimeout("tcp", l.Local.String(), patience)
				So(err, ShouldBeNil)
				Reset(func() { _ = c.Close() })
			}
		}
		waiting := func(fd int) (n int) {
			for {
				c, _, err := sys.Accept(fd)
				if err != 0 {
					So(err, ShouldEqual, sys.EAGAIN)
					return n
				}
				sys.Close(c)
				n++
			}
		}
		other, err := l.Lend()
		So(err, ShouldBeNil)
		Reset(func() { sys.Close(other) })
		dial()

		Convey("is left to that process once it serves", func() {
			l.TakenOver()
			So(l.Answers(), ShouldBeFalse)
			l.stop()
			l.ready(sys.Readable) // the descriptor is closed later, and may be reported until then
			So(g.sh.Connections(), ShouldEqual, 0)
			l.Unbind()
			g.until("its end", func() bool { return l.fd < 0 })
			So(g.sh.Connections(), ShouldEqual, 0)
			dial()
			reports, err := g.sh.poller.Wait(make([]sys.Report, 4), 0)
			So(err, ShouldBeNil)
			So(reports, ShouldEqual, 0) // though some wait there
			So(waiting(other), ShouldEqual, 2*clients)
		})
		Convey("is taken before that, and lives on", func() {
			l.Unbind()
			g.until("its end", func() bool { return l.fd < 0 })
			So(g.sh.Connections(), ShouldEqual, clients)
			dial()
			So(waiting(other), ShouldEqual, clients)
		})
		Convey("is not lent after the end", func() {
			l.Close()
			g.until("its end", func() bool { return l.fd < 0 })
			So(waiting(other), ShouldEqual, clients)
			_, err := l.Lend()
			So(errno.Of(err), ShouldEqual, errno.ENOENT)
		})
	})
}

func TestSpareDescriptorComesBack(t *testing.T) {
	Convey("The last descriptor goes to the spare one, not to a connection", t, func() {
		g := newStage(t)
		at := Address{AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
		l, err := Listen(g.sh, &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.TCP}}, at, g.owner, TCPOptions{Backlog: 9},
			Limits{MaxMsgSize: -1}, func() *Shard { return g.sh })
		So(err, ShouldBeNil)
		client, err := net.Dial("tcp", l.Local.String())
		So(err, ShouldBeNil)
		defer client.Close()
		spare.mu.Lock()
		spare.close() // another thread has lent it
		spare.missing.Store(true)
		spare.mu.Unlock()
		last, err := unix.Dup(0)
		So(err, ShouldBeNil)
		So(unix.Close(last), ShouldBeNil)
		var limit unix.Rlimit
		So(unix.Getrlimit(unix.RLIMIT_NOFILE, &limit), ShouldBeNil)
		one := unix.Rlimit{Cur: uint64(last) + 1, Max: limit.Max}
		So(unix.Setrlimit(unix.RLIMIT_NOFILE, &one), ShouldBeNil)
		for range 10 {
			g.step()
		}
		have, missing := spare.have, spare.missing.Load()
		So(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit), ShouldBeNil)
		So(have, ShouldBeTrue)
		So(missing, ShouldBeFalse)
		_, err = client.Read(make([]byte, 1))
		So(err, ShouldNotBeNil)
		So(g.sh.Connections(), ShouldEqual, 0)
		l.Close()
		g.until("its end", func() bool { return l.fd < 0 })
		So(spare.missing.Load(), ShouldBeFalse)
	})
}
