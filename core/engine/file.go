// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/zlink/zlink/core/sys"
)

const (
	// bindLock limits how long a bind waits for others that bind or unbind in the folder, and
	// removeLock how long the end of a listener waits. After that they go on without the lock,
	// because a stranger may hold it for any time.
	bindLock   = 2 * time.Second
	removeLock = 100 * time.Millisecond
)

// socketFile is the file of a listening ipc descriptor. The end of the listener removes it,
// unless another file has its name by then. It is removed from the folder in which it was
// made, wherever the process and that folder have moved.
type socketFile struct {
	folder int        // a descriptor of the folder
	name   string     // in it
	id     sys.FileID // of the file; zero: not known
	made   string     // the folder, if it was made for the file, or ""
	once   sync.Once
}

// bindFile binds a descriptor to a path, to "@name", which is not a file, or, for "*", to
// a new file in the folder for temporary files. It replaces a file that an ended server
// has left behind. EADDRINUSE: a server listens there, or the file is of another kind.
//
// Two servers may find the same file left behind. A lock on the folder makes them take
// turns, so that neither removes the new file of the other.
func bindFile(fd int, addr Address) (Address, *socketFile, error) {
	if strings.HasPrefix(addr.Path, "@") {
		return addr, nil, sys.Bind(fd, addr)
	}
	f := &socketFile{folder: -1}
	if addr.Path == "*" {
		folder, err := os.MkdirTemp("", "zlink-")
		if err != nil {
			return addr, nil, err
		}
		f.made = absolute(folder)
		addr.Path = filepath.Join(f.made, "socket")
	}
	err := f.openFolder(addr.Path)
	if err == nil {
		err = f.bind(fd, addr.Path)
	}
	if err != nil {
		f.forget()
		return addr, nil, err
	}
	return addr, f, nil
}

func (f *socketFile) bind(fd int, path string) error {
	defer lockFolder(f.folder, bindLock)()
	err := sys.Bind(fd, Address{Path: path})
	if err == sys.EADDRINUSE && leftBehind(path) && sys.RemoveAt(f.folder, f.name) == nil {
		err = sys.Bind(fd, Address{Path: path})
	}
	if err != nil {
		return err
	}
	f.id, _ = sys.FileAt(f.folder, f.name)
	return nil
}

// openFolder opens the folder of a path.
func (f *socketFile) openFolder(path string) (err error) {
	var folder string
	if folder, f.name = filepath.Split(path); folder == "" {
		folder = "."
	}
	f.folder, err = sys.OpenFolder(folder)
	return err
}

// lockFolder keeps other servers of this library from binding and removing in a folder
// until unlock is called. It goes on without the lock after limit, or where such locks do
// not exist.
func lockFolder(folder int, limit time.Duration) (unlock func()) {
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		switch err := sys.LockFolder(folder); {
		case err == nil:
			return func() { sys.UnlockFolder(folder) }
		case err == sys.EINTR:
		case err != sys.EAGAIN || time.Now().After(end):
			return func() {}
		}
	}
}

// leftBehind reports whether a path is a socket without a process.
func leftBehind(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().Type() == os.ModeSocket && sys.Deserted(path)
}

// remove removes the file once. It does nothing for nil, or if another server has made a
// new file since. Any thread.
func (f *socketFile) remove() {
	if f == nil {
		return
	}
	f.once.Do(func() {
		unlock := lockFolder(f.folder, removeLock)
		if id, err := sys.FileAt(f.folder, f.name); err == nil && id == f.id {
			_ = sys.RemoveAt(f.folder, f.name)
		}
		unlock()
		f.forget()
	})
}

// leave lets the file be. It does nothing for nil. Any thread.
func (f *socketFile) leave() {
	if f != nil {
		f.once.Do(f.forget)
	}
}

// forget closes the folder, and removes it if it was made for the file.
func (f *socketFile) forget() {
	if f.folder >= 0 {
		sys.Close(f.folder)
	}
	if f.made != "" {
		_ = os.Remove(f.made)
	}
}

// absolute makes a path independent of the working folder by putting that in front. It
// does not change a path that would become too long, or that is not a file's.
func absolute(path string) string {
	if strings.HasPrefix(path, "/") || strings.HasPrefix(path, "@") {
		return path
	}
	folder, err := sys.WorkingFolder()
	if err != nil || !strings.HasPrefix(folder, "/") {
		return path
	}
	if whole := strings.TrimSuffix(folder, "/") + "/" + path; len(whole) <= sys.MaxPath {
		return whole
	}
	return path
}
