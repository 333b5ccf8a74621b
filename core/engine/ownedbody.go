// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"sync"
	"unsafe"
)

// ownedBody is a body of a Go program that is sent from its own place. The queues that
// refer to it lie outside Go's heap, so the map owned keeps it alive.
type ownedBody struct {
	body []byte
	done func()
}

var owned = struct {
	sync.Mutex
	bodies map[*ownedBody]struct{}
}{bodies: map[*ownedBody]struct{}{}}

// OwnBody returns the owner of a body that is to be sent from its own place. done is
// called when the kernel has the body, or when it is dropped.
func OwnBody(body []byte, done func()) unsafe.Pointer {
	b := &ownedBody{body, done}
	owned.Lock()
	defer owned.Unlock()
	owned.bodies[b] = struct{}{}
	return unsafe.Pointer(b)
}

// DisownBody forgets an owner that no queue has, without calling done.
func DisownBody(owner unsafe.Pointer) {
	owned.Lock()
	defer owned.Unlock()
	delete(owned.bodies, (*ownedBody)(owner))
}

// releaseBody is Host.ReleaseOwner for bodies of Go.
func releaseBody(owner unsafe.Pointer) {
	done := (*ownedBody)(owner).done
	DisownBody(owner)
	done()
}
