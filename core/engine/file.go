// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// socketFile is the file of a listening ipc descriptor. It is removed with the
// listener, if it is still the same one by then.
type socketFile struct {
	path     string
	dev, ino uint64
	folder   string // made for it; "": none
}

// bindFile binds a descriptor to a path, to "@name", which is no file, or for
// "*" to a new file in the folder for temporary ones. A file that an ended
// server has left behind is replaced. EADDRINUSE: a server listens there, or it
// is another kind of file.
func bindFile(fd int, path string) (Address, *socketFile, error) {
	f := &socketFile{path: path}
	if path == "*" {
		folder, err := os.MkdirTemp("", "zlink-")
		if err != nil {
			return Address{Path: path}, nil, err
		}
		f.folder, f.path = folder, filepath.Join(folder, "socket")
	}
	addr := Address{Path: f.path}
	sa, _ := addr.sockaddr()
	err := unix.Bind(fd, sa)
	if err == unix.EADDRINUSE && leftBehind(f.path) && os.Remove(f.path) == nil {
		err = unix.Bind(fd, sa)
	}
	if err != nil || strings.HasPrefix(path, "@") {
		f.removeFolder()
		return addr, nil, err
	}
	var stat unix.Stat_t
	if err := unix.Lstat(f.path, &stat); err == nil {
		f.dev, f.ino = stat.Dev, stat.Ino
	}
	return addr, f, nil
}

// leftBehind tells whether a path is a socket that no process has. It asks with
// a datagram socket: a server's own kind answers that with EPROTOTYPE, whether it
// listens yet or not, and does not notice.
func leftBehind(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path}) == unix.ECONNREFUSED
}

// remove removes the file; nil, or a file that another server has made since, is
// left alone.
func (f *socketFile) remove() {
	if f == nil {
		return
	}
	var stat unix.Stat_t
	if unix.Lstat(f.path, &stat) == nil && stat.Dev == f.dev && stat.Ino == f.ino {
		_ = os.Remove(f.path)
	}
	f.removeFolder()
}

func (f *socketFile) removeFolder() {
	if f.folder != "" {
		_ = os.Remove(f.folder)
	}
}
