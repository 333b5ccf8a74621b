// SPDX-License-Identifier: MPL-2.0

package sys

import "golang.org/x/sys/unix"

// What local addresses need from the file system. A descriptor names a folder, because the
// folder may move while a socket's file lies in it.

// OpenFolder opens a folder. A folder without read permission can be opened, but not locked.
func OpenFolder(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == EACCES {
		fd, err = unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	return fd, err
}

// LockFolder locks a folder against other callers of LockFolder. EAGAIN: another has the lock.
func LockFolder(folder int) error { return unix.Flock(folder, unix.LOCK_EX|unix.LOCK_NB) }

// UnlockFolder unlocks a folder.
func UnlockFolder(folder int) { _ = unix.Flock(folder, unix.LOCK_UN) }

// FileID distinguishes a file from every other file that exists at the same time.
type FileID struct{ Device, Number uint64 }

// FileAt returns the id of a named file in a folder. It does not follow links.
func FileAt(folder int, name string) (FileID, error) {
	var stat unix.Stat_t
	err := unix.Fstatat(folder, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	return FileID{stat.Dev, stat.Ino}, err
}

// RemoveAt removes a file from a folder.
func RemoveAt(folder int, name string) error { return unix.Unlinkat(folder, name, 0) }

// WorkingFolder returns the folder of the process and ignores the environment.
func WorkingFolder() (string, error) { return unix.Getwd() }

// OnlyOwner makes the file that a local descriptor will be bound to accessible for its owner only,
// whatever the process's umask is.
func OnlyOwner(fd int) error { return unix.Fchmod(fd, 0o600) }

// Deserted reports whether no process has the socket at a path. It asks with a datagram
// socket. A live stream socket answers that with EPROTOTYPE, whether it listens yet or
// not, and its server does not notice.
func Deserted(path string) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer Close(fd)
	return Connect(fd, Address{Path: path}) == ECONNREFUSED
}

// FreeName frees the local name of a descriptor by putting another socket in its place. The
// descriptor's number stays in use until it is closed. If FreeName fails, closing frees
// the name.
func FreeName(fd int) {
	other, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	_ = unix.Dup3(other, fd, unix.O_CLOEXEC)
	Close(other)
}
