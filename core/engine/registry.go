// SPDX-License-Identifier: MPL-2.0

package engine

import "github.com/zlink/zlink/core/check"

import "github.com/zlink/zlink/core/sys"

// handler is the object that a descriptor of the shard belongs to.
type handler interface {
	// ready gets what the kernel reported.
	ready(what sys.Readiness)
}

// registration is a descriptor's handler. tag distinguishes its events from those of an
// earlier descriptor with the same number.
type registration struct {
	handler handler
	tag     int32
}

// register starts the reports of a descriptor.
func (sh *Shard) register(fd int, h handler) error {
	err := sh.poller.AddEdge(fd, sh.enroll(fd, h))
	if err != nil {
		sh.byFd[fd].handler = nil
	}
	return err
}

// enroll makes h the handler of a descriptor and returns the tag of its events.
func (sh *Shard) enroll(fd int, h handler) int32 {
	for len(sh.byFd) <= fd {
		sh.byFd = append(sh.byFd, registration{})
	}
	sh.nextTag = max(1, sh.nextTag+1) // never sys.NoTag, also when it wraps
	if check.On {
		check.That(sh.byFd[fd].handler == nil, "a descriptor belongs to one part of the shard")
	}
	sh.byFd[fd] = registration{h, sh.nextTag}
	return sh.nextTag
}

// unregister ends the reports. The descriptor stays open.
func (sh *Shard) unregister(fd int) {
	sh.byFd[fd].handler = nil
	sh.poller.Remove(fd)
}

// closeFd ends the reports of a registered descriptor and closes it.
func (sh *Shard) closeFd(fd int) {
	sh.mustDrive()
	sh.byFd[fd].handler = nil
	sys.Close(fd)
}
