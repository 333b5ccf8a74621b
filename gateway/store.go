// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// A store is a temporary folder. Its file owner is locked as long as its process lives, so that the next one can tell
// a folder that was left behind.
type store struct {
	path string
	lock *os.File
}

const (
	storePrefix = "zlink-gateway-"
	storeOwner  = "owner"
)

// newStore makes one in a folder, and removes those whose processes are dead.
func newStore(parent string) (*store, error) {
	clearStores(parent)
	path, err := os.MkdirTemp(parent, storePrefix)
	if err != nil {
		return nil, err
	}
	s := &store{path: path}
	if err := s.own(); err != nil {
		s.remove()
		return nil, fmt.Errorf("the folder %s cannot be locked: %w", path, err)
	}
	return s, nil
}

// own locks the file before it has its name, so that nobody sees it unlocked.
func (s *store) own() (err error) {
	name := filepath.Join(s.path, storeOwner)
	if s.lock, err = os.OpenFile(name+".new", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	if err = lockFile(s.lock); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func lockFile(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// remove deletes it. s may be nil.
func (s *store) remove() {
	if s == nil {
		return
	}
	_ = os.RemoveAll(s.path)
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

// clearStores deletes the folders of this user whose processes are dead. What it cannot be sure of it leaves.
func clearStores(parent string) {
	all, err := filepath.Glob(filepath.Join(parent, storePrefix+"*"))
	if err != nil {
		return
	}
	for _, path := range all {
		clearStore(path)
	}
}

func clearStore(path string) {
	folder, err := os.Lstat(path)
	if err != nil || !folder.IsDir() || !mine(folder) {
		return
	}
	file, err := os.OpenFile(filepath.Join(path, storeOwner), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	if lockFile(file) != nil {
		return // its process lives
	}
	// Somebody else may have deleted it before the lock was there.
	there, err := os.Lstat(file.Name())
	here, failed := file.Stat()
	if err == nil && failed == nil && os.SameFile(there, here) {
		_ = os.RemoveAll(path)
	}
}

func mine(file os.FileInfo) bool {
	stat, is := file.Sys().(*syscall.Stat_t)
	return is && int(stat.Uid) == os.Geteuid()
}
