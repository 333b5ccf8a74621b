// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"reflect"
	"testing"

	"github.com/zlink/zlink/core/engine"
)

// connOf returns the socket's only connection.
func connOf(k *Socket) *engine.Conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conns[0]
}

// onDriver runs call on the driver of the socket's only shard.
func onDriver(t testing.TB, k *Socket, call func() bool) bool {
	t.Helper()
	result := make(chan bool, 1)
	k.soleShard().Post(func() { result <- call() })
	var got bool
	within(t, patience, "a call on the driver", func() { got = <-result })
	return got
}

// bigSlab returns the size of the block of the long frame that the socket's
// only session receives, or 0.
func bigSlab(k *Socket) uint64 {
	rare := reflect.ValueOf(connOf(k)).Elem().FieldByName("rare")
	if rare.IsNil() {
		return 0
	}
	slab := rare.Elem().FieldByName("big").FieldByName("slab")
	if slab.IsNil() {
		return 0
	}
	return slab.Elem().FieldByName("Size").Uint()
}
