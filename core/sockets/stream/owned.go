// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"sync"
	"unsafe"

	"github.com/zlink/zlink/core/engine"
)

// ownedMin is the shortest received body that is sent on without a copy.
const ownedMin = 32 << 10

// ownedBody is a body that the engine sends from where it is. The queues that
// refer to it lie outside Go's heap, so owned keeps it alive.
type ownedBody struct {
	body []byte
	done func()
}

var owned = struct {
	sync.Mutex
	bodies map[*ownedBody]struct{}
}{bodies: map[*ownedBody]struct{}{}}

// own returns the owner of a body for the engine.
func own(body []byte, done func()) unsafe.Pointer {
	b := &ownedBody{body, done}
	owned.Lock()
	defer owned.Unlock()
	owned.bodies[b] = struct{}{}
	return unsafe.Pointer(b)
}

// disown forgets an owner that the engine does not have, and does not call done.
func disown(owner unsafe.Pointer) {
	owned.Lock()
	defer owned.Unlock()
	delete(owned.bodies, (*ownedBody)(owner))
}

// The C layer, whose bodies are not Go's, replaces this.
func init() {
	engine.ReleaseOwner = func(owner unsafe.Pointer) {
		done := (*ownedBody)(owner).done
		disown(owner)
		done()
	}
}
