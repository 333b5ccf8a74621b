// SPDX-License-Identifier: MPL-2.0

package sys

import "golang.org/x/sys/unix"

// What local addresses need of the file system. A folder is named by a descriptor,
// as it may move while a socket's file lies in it.

// OpenFolder opens a folder. One that cannot be read can be opened, but not locked.
func OpenFolder(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == EACCES {
		fd, err = unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	return fd, err
}

// LockFolder locks a folder against others that do so. EAGAIN: one of them has it.
func LockFolder(folder int) error { return unix.Flock(folder, unix.LOCK_EX|unix.LOCK_NB) }

// UnlockFolder ends a LockFolder.
func UnlockFolder(folder int) { _ = unix.Flock(folder, unix.LOCK_UN) }

// FileID is what tells a file from every other that exists at the same time.
type FileID struct{ Device, Number uint64 }

// FileAt returns the id of the file that has a name in a folder; a link is not followed.
func FileAt(folder int, name string) (FileID, error) {
	var stat unix.Stat_t
	err := unix.Fstatat(folder, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	return FileID{stat.Dev, stat.Ino}, err
}

// RemoveAt removes a file of a folder.
func RemoveAt(folder int, name string) error { return unix.Unlinkat(folder, name, 0) }

// WorkingFolder returns where the process is, whatever its environment says.
func WorkingFolder() (string, error) { return unix.Getwd() }

// Deserted reports whether the socket at a path is no process's. It asks with a
// datagram socket: a server's own kind answers that with EPROTOTYPE, whether it
// listens yet or not, and does not notice.
func Deserted(path string) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer Close(fd)
	return Connect(fd, Address{Path: path}) == ECONNREFUSED
}

// FreeName frees the local name of a descriptor: it puts another socket in its place.
// The number stays taken until it is closed. Where that fails, the name is free then.
func FreeName(fd int) {
	other, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	_ = unix.Dup3(other, fd, unix.O_CLOEXEC)
	Close(other)
}
