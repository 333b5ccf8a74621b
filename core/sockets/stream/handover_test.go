// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// handoverOver has one socket hand over to another one, and returns what both say.
func handoverOver(t testing.TB, old, next *Socket) (gave, took error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "handover")
	done := make(chan error)
	go func() { done <- old.Handover(path, patience) }()
	eventually(t, "somebody hands over", func() bool {
		took = next.Takeover(path, patience)
		return errno.Of(took) != errno.ENOENT && errno.Of(took) != errno.ECONNREFUSED
	})
	return <-done, took
}

// wantOne dials with a socket and expects the connection at k.
func wantOne(t testing.TB, k *Socket, endpoint string, settings ...Setting) *Socket {
	t.Helper()
	client := newFastSocket(t, newContext(t))
	must(t, client.Set(settings...), "settings")
	must(t, client.Connect(endpoint), "Connect")
	peer := recvKind(t, client, Connected).Peer
	must(t, client.TrySend(peer, []byte("hello")), "Send") // any:// waits for that
	recvKind(t, k, Connected)
	recvKind(t, k, Data)
	return client
}

func TestHandover(t *testing.T) {
	secure := ownTLS(t)
	for _, endpoint := range []string{"tcp://127.0.0.1:*", "ws://127.0.0.1:*/chat", "tls://127.0.0.1:*", "wss://127.0.0.1:*", "any://127.0.0.1:*", "ipc://*"} {
		Convey("Another process serves, and the old one leaves: "+endpoint, t, func() {
			old, next := newFastSocket(t, newContext(t)), newFastSocket(t, newContext(t))
			must(t, old.Set(append(secure, WithWebHealth("/health"))...), "settings")
			must(t, next.Set(secure...), "settings")
			must(t, old.Bind(endpoint), "Bind")
			at := lastEndpoint(t, old)
			dialled := strings.Replace(at, "any:", "tls:", 1)
			client := wantOne(t, old, dialled, secure...)
			gave, took := handoverOver(t, old, next)
			So(gave, ShouldBeNil)
			So(took, ShouldBeNil)
			So(lastEndpoint(t, next), ShouldEqual, at)
			So(client.Drain(0, 0), ShouldBeNil)
			recvKind(t, old, Disconnected)
			must(t, old.Drain(forever, 0), "Drain") // nobody is told 503
			recvKind(t, old, Drained)
			for range 3 {
				wantOne(t, next, dialled, secure...)
			}
			So(next.Unbind(endpoint), ShouldBeNil) // by the text of the old one's Bind
		})
	}
	Convey("Several listeners go at once, and the next process hands them on", t, func() {
		sockets := []*Socket{newFastSocket(t, newContext(t)), newFastSocket(t, newContext(t)), newFastSocket(t, newContext(t))}
		var at []string
		for range 5 {
			must(t, sockets[0].Bind("tcp://127.0.0.1:*"), "Bind")
			at = append(at, lastEndpoint(t, sockets[0]))
		}
		for i := range 2 {
			gave, took := handoverOver(t, sockets[i], sockets[i+1])
			So(gave, ShouldBeNil)
			So(took, ShouldBeNil)
			must(t, sockets[i].Close(), "Close")
			for _, endpoint := range at {
				wantOne(t, sockets[i+1], endpoint)
			}
		}
	})
}

// ends returns a pair of connected local sockets.
func ends(t testing.TB) (ours, theirs int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err, "socketpair")
	Reset(func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// leave closes a descriptor whose number stays in use.
func leave(t testing.TB, fd int) {
	nothing, err := os.Open(os.DevNull)
	must(t, err, "open")
	must(t, unix.Dup2(int(nothing.Fd()), fd), "dup2")
	must(t, nothing.Close(), "close")
}

func exchangePart(tag string, version uint16, body string) string {
	head := binary.BigEndian.AppendUint16([]byte(tag), version)
	return string(binary.BigEndian.AppendUint32(head, uint32(len(body)))) + body
}

// descriptorsAt returns how many descriptors of the process listen at an endpoint.
func descriptorsAt(endpoint string) (n int) {
	for fd := range 1024 {
		sa, _ := unix.Getsockname(fd)
		listens, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if at, is := sa.(*unix.SockaddrInet4); is && listens == 1 && strings.HasSuffix(endpoint, fmt.Sprint(":", at.Port)) {
			n++
		}
	}
	return n
}

func TestHandoverFails(t *testing.T) {
	take := exchangePart(tagTake, 1, "")
	Convey("The old process serves on", t, func() {
		k := newFastSocket(t, newContext(t))
		must(t, k.Bind("tcp://127.0.0.1:*"), "Bind")
		at := lastEndpoint(t, k)
		servesOn := func() {
			client := plain(t, at)
			recvKind(t, k, Connected)
			So(k.Unbind(at), ShouldBeNil) // and its queue is its own
			eventually(t, "nobody listens", func() bool {
				late, err := net.Dial("tcp", address(at))
				if err == nil {
					_ = late.Close()
				}
				return err != nil
			})
			must(t, client.Close(), "close")
		}
		for name, c := range map[string]struct {
			says string
			ends bool // the other process
			want errno.Errno
			why  string
		}{
			"if nothing comes":             {"", false, errno.ETIMEDOUT, "the other process is silent"},
			"if the other ends":            {"", true, errno.ECONNRESET, "ended before"},
			"if it ends within its part":   {take[:7], true, errno.ECONNRESET, "ended before"},
			"if it stops within its part":  {take[:7], false, errno.ETIMEDOUT, "silent"},
			"if garbage comes":             {"GET / HTTP/1.1\r\n\r\n", false, errno.EPROTO, `does not speak of a handover: "GET / "`},
			"if another version comes":     {exchangePart(tagTake, 2, ""), false, errno.EPROTO, "version 2"},
			"if too much comes":            {exchangePart(tagTake, 1, "x"), false, errno.EPROTO, "1 bytes are too many"},
			"if no answer comes":           {take, false, errno.ETIMEDOUT, "silent"},
			"if the answer is garbage":     {take + exchangePart(tagHand, 1, ""), false, errno.EPROTO, "ZLHAND"},
			"if the other ends then":       {take, true, errno.ECONNRESET, "ended before"},
			"if the other cannot use them": {take + exchangePart(tagFail, 1, "\x00\x00\x00\x16no certificate"), false, errno.ECANCELED, `"no certificate"`},
		} {
			Convey(name, func() {
				ours, theirs := ends(t)
				_, err := unix.Write(theirs, []byte(c.says))
				must(t, err, "write")
				if c.ends {
					must(t, unix.Shutdown(theirs, unix.SHUT_WR), "shutdown")
				}
				err = k.HandoverTo(ours, 50*time.Millisecond)
				So(err, shouldBeErrno, c.want)
				So(errno.Detail(err), ShouldContainSubstring, c.why)
				leave(t, theirs) // with what it has not read
				So(descriptorsAt(at), ShouldEqual, 1)
				servesOn()
			})
		}
		Convey("if somebody else's process comes, which gets nothing but a sentence", func() {
			peerUser = func(int) (int, error) { return 12345, nil }
			defer func() { peerUser = sys.PeerUser }()
			ours, theirs := ends(t)
			_, err := unix.Write(theirs, []byte(take))
			must(t, err, "write")
			err = k.HandoverTo(ours, 0)
			So(err, shouldBeErrno, errno.EACCES)
			So(errno.Detail(err), ShouldContainSubstring, "user 12345")
			buf := make([]byte, 512)
			n, err := unix.Read(theirs, buf)
			must(t, err, "read")
			So(string(buf[:n]), ShouldStartWith, tagFail)
			servesOn()
		})
		Convey("if descriptors come in place of a word", func() {
			ours, theirs := ends(t)
			other, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err, "listen")
			file, err := other.(*net.TCPListener).File()
			must(t, err, "file")
			must(t, unix.Sendmsg(theirs, []byte(take), unix.UnixRights(int(file.Fd())), nil, 0), "sendmsg")
			So(k.HandoverTo(ours, patience), shouldBeErrno, errno.EPROTO)
			So(descriptorsAt(other.Addr().String()), ShouldEqual, 2)
			_, _ = file.Close(), other.Close()
			servesOn()
		})
		Convey("if nobody comes, and the path is free again", func() {
			path := filepath.Join(t.TempDir(), "handover")
			err := k.Handover(path, 0)
			So(err, shouldBeErrno, errno.ETIMEDOUT)
			So(errno.Detail(err), ShouldContainSubstring, "no process has come")
			_, err = os.Lstat(path)
			So(os.IsNotExist(err), ShouldBeTrue)
			servesOn()
		})
		Convey("if somebody comes to a process that waits without end, and says nothing", func() {
			exchangeTime = 20 * time.Millisecond
			defer func() { exchangeTime = 10 * time.Second }()
			ours, _ := ends(t)
			var err error
			within(t, 10*time.Second, "Handover", func() { err = k.HandoverTo(ours, -1) })
			So(err, shouldBeErrno, errno.ETIMEDOUT)
			servesOn()
		})
	})
}

func TestHandoverEnds(t *testing.T) {
	take := exchangePart(tagTake, 1, "")
	Convey("Who has nothing to give, or no channel, says so", t, func() {
		k := newFastSocket(t, newContext(t))
		ours, theirs := ends(t)
		_, err := unix.Write(theirs, []byte(take))
		must(t, err, "write")
		So(k.HandoverTo(ours, patience), shouldBeErrno, errno.EINVAL)
		for _, fd := range []int{-1, 0} {
			So(k.HandoverTo(fd, patience), shouldBeErrno, errno.EINVAL)
			So(k.TakeoverFrom(fd, patience), shouldBeErrno, errno.EINVAL)
		}
		path := filepath.Join(t.TempDir(), "handover")
		So(k.Handover(path, -1), shouldBeErrno, errno.EINVAL) // before anybody comes
		must(t, k.Bind("tcp://127.0.0.1:*"), "Bind")
		So(k.Handover(filepath.Join(t.TempDir(), "a", "b"), 0), shouldBeErrno, errno.ENOENT)
		done := make(chan error)
		go func() { done <- k.Handover(path, -1) }()
		eventually(t, "it waits", func() bool { _, err := os.Lstat(path); return err == nil })
		must(t, k.Drain(0, 0), "Drain")
		within(t, patience, "the end of the wait", func() { err = <-done })
		So(err, shouldBeErrno, errno.EFSM) // nor when nobody can come any more
		_, err = os.Lstat(path)
		So(os.IsNotExist(err), ShouldBeTrue)
		So(k.Handover(path, -1), shouldBeErrno, errno.EFSM)
		_, err = unix.Write(theirs, []byte(take))
		must(t, err, "write")
		So(k.HandoverTo(ours, patience), shouldBeErrno, errno.EFSM)
	})
	Convey("The end of the socket ends the wait for another process", t, func() {
		k := newFastSocket(t, newContext(t))
		must(t, k.Bind("tcp://127.0.0.1:*"), "Bind")
		path, done := filepath.Join(t.TempDir(), "handover"), make(chan error)
		go func() { done <- k.Handover(path, -1) }()
		eventually(t, "it waits", func() bool { _, err := os.Lstat(path); return err == nil })
		must(t, k.Close(), "Close")
		So(<-done, shouldBeErrno, errno.ENOTSOCK)
	})
}

func TestTakeoverFails(t *testing.T) {
	state := func(texts ...string) string {
		h := handed{texts: texts}
		return exchangePart(tagHand, 1, string(h.encode()))
	}
	Convey("A process that takes over has nothing bound and no descriptor left", t, func() {
		k := newFastSocket(t, newContext(t))
		good, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err, "listen")
		file, err := good.(*net.TCPListener).File()
		must(t, err, "file")
		Reset(func() { _, _ = good.Close(), file.Close() })
		fd := int(file.Fd())
		for name, c := range map[string]struct {
			says string
			fds  []int
			want errno.Errno
			why  string
		}{
			"if the other ends":               {"", nil, errno.ECONNRESET, "ended before"},
			"if it ends within its endpoints": {state("tcp://127.0.0.1:*")[:20], []int{fd}, errno.ECONNRESET, "ended before"},
			"if garbage comes":                {strings.Repeat("x", 300), []int{fd, fd}, errno.EPROTO, "does not speak"},
			"if another version comes":        {exchangePart(tagHand, 7, ""), nil, errno.EPROTO, "version 7"},
			"if more comes than may":          {exchangePart(tagHand, 1, "")[:8] + "\x7f\xff\xff\xff", nil, errno.EPROTO, "too many"},
			"if descriptors are missing":      {state("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"), []int{fd}, errno.EPROTO, "2 endpoints and 1 desc"},
			"if there are too many":           {state("tcp://127.0.0.1:*"), []int{fd, fd}, errno.EPROTO, "1 endpoints and 2 desc"},
			"if there is nothing":             {state(), nil, errno.EPROTO, "0 endpoints"},
			"if an endpoint is cut off":       {exchangePart(tagHand, 1, "\x00\x09tcp"), []int{fd}, errno.EPROTO, "cut off"},
			"if one is none":                  {state("tcp://127.0.0.1:*", "nonsense"), []int{fd, fd}, errno.EINVAL, "nonsense"},
			"if one has no certificate":       {state("tcp://127.0.0.1:*", "tls://127.0.0.1:*"), []int{fd, fd}, errno.EINVAL, "TLS_CERT"},
			"if a descriptor does not listen": {state("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"), []int{fd, 0}, errno.EINVAL, "is not a socket"},
			"if one is of another kind":       {state("ipc://*"), []int{fd}, errno.EINVAL, "ipc"},
			"if the other refuses":            {exchangePart(tagFail, 1, "\x00\x00\x00\x0dwrong user"), nil, errno.ECONNRESET, "wrong user"},
		} {
			Convey(name, func() {
				ours, theirs := ends(t)
				var rights []byte
				if c.fds != nil {
					rights = unix.UnixRights(c.fds...)
				}
				if c.says != "" {
					must(t, unix.Sendmsg(theirs, []byte(c.says), rights, nil, 0), "sendmsg")
				}
				must(t, unix.Shutdown(theirs, unix.SHUT_WR), "shutdown")
				err := k.TakeoverFrom(ours, patience)
				So(err, shouldBeErrno, c.want)
				So(errno.Detail(err), ShouldContainSubstring, c.why)
				So(descriptorsAt(good.Addr().String()), ShouldEqual, 2)
				So(k.listeners, ShouldBeEmpty)
				So(lastEndpoint(t, k), ShouldBeEmpty)
			})
		}
		Convey("if it takes too long", func() {
			ours, _ := ends(t)
			So(k.TakeoverFrom(ours, 0), shouldBeErrno, errno.ETIMEDOUT)
		})
		Convey("if nobody is there", func() {
			path := filepath.Join(t.TempDir(), "handover")
			So(k.Takeover(path, patience), shouldBeErrno, errno.ENOENT)
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			must(t, err, "listen")
			l.SetUnlinkOnClose(false)
			must(t, l.Close(), "close")
			So(k.Takeover(path, patience), shouldBeErrno, errno.ECONNREFUSED)
		})
		Convey("but all that has come is bound, even if the old process has ended", func() {
			ours, theirs := ends(t)
			must(t, unix.Sendmsg(theirs, []byte(state("tcp://127.0.0.1:*")), unix.UnixRights(fd), nil, 0), "sendmsg")
			must(t, unix.Shutdown(theirs, unix.SHUT_RDWR), "shutdown")
			So(k.TakeoverFrom(ours, patience), ShouldBeNil)
			plain(t, "tcp://"+good.Addr().String())
			recvKind(t, k, Connected)
		})
	})
	Convey("The old process hears why the new one cannot serve, and serves on", t, func() {
		old, next := newFastSocket(t, newContext(t)), newFastSocket(t, newContext(t))
		must(t, old.Set(ownTLS(t)...), "settings")
		must(t, old.Bind("tls://127.0.0.1:*"), "Bind")
		gave, took := handoverOver(t, old, next)
		So(took, shouldBeErrno, errno.EINVAL)
		So(gave, shouldBeErrno, errno.ECANCELED)
		So(errno.Detail(gave), ShouldContainSubstring, errno.Detail(took))
		wantOne(t, old, lastEndpoint(t, old), WithTLSVerify(false, ""))
	})
}
