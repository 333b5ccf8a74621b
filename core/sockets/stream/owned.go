// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"sync"
	"unsafe"

	"github.com/zlink/zlink/core/engine"
)

// ownedMin is the shortest received body that is sent on without a copy.
const ownedMin = 32 << 10

// heldBody is a body that the engine sends from where it is. The queues that
// refer to it lie outside Go's heap, so held keeps it alive.
type heldBody struct {
	body []byte
	done func()
}

var held = struct {
	sync.Mutex
	bodies map[*heldBody]struct{}
}{bodies: map[*heldBody]struct{}{}}

// hold returns the owner of a body for the engine.
func hold(body []byte, done func()) unsafe.Pointer {
	h := &heldBody{body, done}
	held.Lock()
	defer held.Unlock()
	held.bodies[h] = struct{}{}
	return unsafe.Pointer(h)
}

// drop forgets an owner that the engine does not have, and does not call done.
func drop(owner unsafe.Pointer) {
	held.Lock()
	defer held.Unlock()
	delete(held.bodies, (*heldBody)(owner))
}

// The C layer, whose bodies are not Go's, replaces this.
func init() {
	engine.ReleaseOwner = func(owner unsafe.Pointer) {
		done := (*heldBody)(owner).done
		drop(owner)
		done()
	}
}
