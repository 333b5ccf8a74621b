// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"fmt"
	"testing"
)

// BenchmarkAppendFlush appends batches of messages and takes them as a driver
// does, without the system call.
func BenchmarkAppendFlush(b *testing.B) {
	for _, size := range []int{64, 1024, 16384} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			k, sh, s := openSession()
			body := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Append(k, 5, body, nil)
				if i%30 != 29 {
					continue
				}
				for list := sh.TakeDirty(); list != nil; {
					next := (*Session)(list.DirtyNext)
					list.Lock()
					list.TxDirty = 0
					head, _ := list.TakeMain()
					list.Unlock()
					freeAll(head)
					list = next
				}
			}
		})
	}
}

// BenchmarkPushTake hands runs over one by one, and in batches of 30.
func BenchmarkPushTake(b *testing.B) {
	for _, batch := range []int{1, 30} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			k := NewQueues()
			runs := make([]Run, batch)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				k.PushRun(&runs[i%batch])
				if i%batch != batch-1 {
					continue
				}
				for r := k.TakeRuns(); r != nil; r = (*Run)(r.Next) {
					k.RxMore++
				}
			}
		})
	}
}

// BenchmarkChunk takes a chunk and gives it back.
func BenchmarkChunk(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		FreeChunk(NewChunk(64, ClassTiny))
	}
}
