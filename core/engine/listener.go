// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/zlink/zlink/core/endpoint"
	"github.com/zlink/zlink/core/errno"
)

const (
	acceptBatch = 128                    // connections taken per report
	acceptPause = 100 * time.Millisecond // when the process is out of descriptors
)

// Listener accepts connections on one address and hands them to the shards in
// turn of their load.
type Listener struct {
	Local  Address
	fd     int
	shard  *Shard
	owner  Owner
	limits Limits
	place  func() *Shard
}

// Listen opens a listening descriptor. Any thread. place picks the shard of a
// new connection.
func Listen(sh *Shard, addr Address, owner Owner, tcp TCPOptions, limits Limits, place func() *Shard) (*Listener, error) {
	sa, family := addr.sockaddr()
	fd, err := tcp.open(family)
	if err != nil {
		return nil, err
	}
	if err := listen(fd, sa, tcp.Backlog); err != nil {
		_ = unix.Close(fd)
		return nil, errno.New(errno.Of(err), "cannot listen on %s", endpoint.Text(addr.AddrPort))
	}
	l, err := ListenOn(sh, fd, owner, limits, place)
	if err != nil {
		_ = unix.Close(fd)
	}
	return l, err
}

func listen(fd int, sa unix.Sockaddr, backlog int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return err
	}
	return unix.Listen(fd, backlog)
}

// ListenOn takes over a listening descriptor. On an error it stays the
// caller's.
func ListenOn(sh *Shard, fd int, owner Owner, limits Limits, place func() *Shard) (*Listener, error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err == nil && listens == 0 {
		err = unix.EINVAL
	}
	if err != nil {
		return nil, errno.New(errno.Of(err), "descriptor %d does not listen", fd)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return nil, errno.New(errno.Of(err), "descriptor %d has no address", fd)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errno.New(errno.Of(err), "cannot use descriptor %d", fd)
	}
	unix.CloseOnExec(fd)
	l := &Listener{Local: addressOf(local), fd: fd, shard: sh, owner: owner, limits: limits, place: place}
	sh.Post(func() {
		if sh.register(fd, l, true) != nil {
			l.close()
		}
	})
	return l, nil
}

// Close stops listening and returns when the address is free. Accepted
// connections stay. Any thread but the driver's own calls.
func (l *Listener) Close() {
	// The kernel refuses connections from here on; the shard closes later.
	_ = unix.Shutdown(l.fd, unix.SHUT_RDWR)
	l.shard.Post(l.close)
}

func (l *Listener) close() {
	if l.fd >= 0 {
		l.shard.closeFd(l.fd) // also when it could not be registered
		l.fd = -1
		l.owner.Gone(l)
	}
}

// ready accepts what waits.
func (l *Listener) ready(uint32) {
	for range acceptBatch {
		fd, sa, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			l.hand(fd, addressOf(sa))
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			l.pause()
			return
		case unix.EAGAIN, unix.EINVAL: // nothing more; or being closed
			return
		}
	}
}

// hand gives a connection to a shard.
func (l *Listener) hand(fd int, remote Address) {
	sh := l.place()
	if sh == l.shard {
		sh.adopt(fd, remote, l.owner, l.limits, nil, nil)
		return
	}
	sh.Post(func() { sh.adopt(fd, remote, l.owner, l.limits, nil, nil) })
}

// pause looks away for a while: a level triggered report of a connection that
// cannot be accepted would come again at once.
func (l *Listener) pause() {
	l.shard.unregister(l.fd)
	l.shard.timers.after(acceptPause, func() {
		if l.fd >= 0 && l.shard.register(l.fd, l, true) != nil {
			l.close()
		}
	})
}
