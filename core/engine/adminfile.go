// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"strings"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sys"
)

// ListenPrivate listens on a local socket whose file, at a path, only the owner of the process
// may open. It replaces a file that an ended process has left behind, as a listener of ipc does. The
// caller gets the descriptor, and a function that removes the file. EADDRINUSE: somebody listens
// there, or the file is of another kind.
func ListenPrivate(path string) (fd int, remove func(), err error) {
	if path == "" || strings.HasPrefix(path, "@") || strings.ContainsRune(path, 0) {
		return -1, nil, errno.New(errno.EINVAL, "%q is not the path of a file", path)
	}
	if err = CheckMeetingPlace(path); err != nil {
		return -1, nil, err
	}
	if fd, err = sys.Socket(sys.Local); err != nil {
		return -1, nil, err
	}
	file := &socketFile{folder: -1}
	if err = sys.OnlyOwner(fd); err == nil {
		err = file.openFolder(path)
	}
	if err == nil {
		err = file.bind(fd, path)
	}
	if err == nil {
		err = sys.Listen(fd, privateBacklog)
	}
	if err != nil {
		if file.id != (sys.FileID{}) {
			file.remove()
		} else {
			file.leave()
		}
		sys.Close(fd)
		return -1, nil, errno.New(errno.Of(err), "cannot listen on %q: %v", path, err)
	}
	return fd, file.remove, nil
}

// privateBacklog is the number of readers that may wait until they are accepted.
const privateBacklog = 8
