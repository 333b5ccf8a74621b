// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"unsafe"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/sys"
)

// NewWakeup returns a cleared shard, or nil. A write to the eventfd wakeFd wakes its
// driver.
func NewWakeup(wakeFd int) *Wakeup {
	w := (*Wakeup)(wakeupSlots.get())
	if w != nil {
		w.WakeFd = int32(wakeFd)
		atomic.StorePointer(&w.Dirty.head, nil)
		w.Driver.Store(DriverNone)
	}
	return w
}

// FreeWakeup frees the shard's slot.
func FreeWakeup(w *Wakeup) {
	if check.On {
		check.That(w.Dirty.Empty(), "a shard that goes has written everything")
	}
	wakeupSlots.put(unsafe.Pointer(w))
}

// Wake ends the sleep of the shard's driver. The caller must know that the shard is not
// stopped.
func (w *Wakeup) Wake() {
	if check.On {
		check.Note(unsafe.Pointer(w), check.Woken)
	}
	sys.SetEvent(int(w.WakeFd))
}
