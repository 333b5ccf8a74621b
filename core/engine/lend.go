// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"strings"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// A listening descriptor may go to another process, which then accepts from the same queue. So
// nothing that waits there is lost when one of them ends, as long as nobody ends the queue.

// Lend returns a copy of the listener's descriptor for another process, which the caller closes.
// From now on the end of the listener leaves the queue alone: whether the other process has the
// descriptor is not known to this one. ENOENT: the listener has ended.
func (l *Listener) Lend() (int, error) {
	l.closing.Lock()
	defer l.closing.Unlock()
	if l.fd < 0 {
		return -1, errno.New(errno.ENOENT, "the listener on %s has ended", l.transport.Endpoint)
	}
	fd, err := sys.Copy(l.fd)
	if err != nil {
		return -1, errno.New(errno.Of(err), "cannot copy the descriptor of %s", l.transport.Endpoint)
	}
	l.lent = true
	return fd, nil
}

// TakenOver says that another process serves whoever comes. Until the listener ends, both do.
func (l *Listener) TakenOver() {
	l.closing.Lock()
	defer l.closing.Unlock()
	l.taken = true
}

// Answers has the connections that come from now on told that their socket drains, and reports
// whether anybody wants to hear it. Others that listen on the address serve whoever comes, so
// nobody is told there. Any thread.
func (l *Listener) Answers() bool {
	l.closing.Lock()
	defer l.closing.Unlock()
	return !l.shared && !l.taken && l.transport.Drain()
}

// Listens checks that a descriptor that was passed listens for a kind of transport.
func Listens(fd int, t *Transport) error {
	_, err := listeningAddress(fd, networks[t.Endpoint.Scheme.Address])
	return err
}

// CheckMeetingPlace checks a path or "@name" at which one process listens for another one. EINVAL:
// it names nothing. ENAMETOOLONG.
func CheckMeetingPlace(path string) error {
	switch {
	case path == "" || path == "@" || strings.ContainsRune(path, 0):
		return errno.New(errno.EINVAL, "%q is neither the path of a file nor @ and a name", path)
	case len(path) > sys.MaxPath:
		return errno.New(errno.ENAMETOOLONG, "the path has %d bytes, and the system takes %d", len(path), sys.MaxPath)
	}
	return nil
}

// ListenAt returns a listening descriptor of a meeting place, and what ends both. It replaces a
// file that an ended process has left behind.
func ListenAt(path string) (fd int, end func(), err error) {
	fd, err = sys.Socket(sys.Local)
	if err != nil {
		return -1, nil, errno.New(errno.Of(err), "cannot open a local socket")
	}
	_, file, err := bindFile(fd, Address{Path: absolute(path)})
	if err == nil {
		err = sys.Listen(fd, 1)
	}
	if err != nil {
		sys.Close(fd)
		file.remove()
		return -1, nil, errno.New(errno.Of(err), "cannot listen at %q", path)
	}
	return fd, func() {
		file.remove()
		sys.Close(fd)
	}, nil
}

// ListensAt reports whether a descriptor that was passed listens for a transport at an address.
// Port 0 is any port, and an unspecified IP that of either family.
func ListensAt(fd int, t *Transport, at Address) bool {
	local, err := listeningAddress(fd, networks[t.Endpoint.Scheme.Address])
	switch {
	case err != nil:
		return false
	case local.Path != "":
		return at.Path == "*" || local.Path == at.Path || local.Path == absolute(at.Path)
	}
	sameIP := local.Addr() == at.Addr() || local.Addr().IsUnspecified() && at.Addr().IsUnspecified()
	return sameIP && (at.Port() == 0 || at.Port() == local.Port())
}
