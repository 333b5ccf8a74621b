// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"context"
	"fmt"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// TestRecvBytes: core/engine counts; here the receiver is a real one, and finds and clears the
// marks.
func TestRecvBytes(t *testing.T) {
	for _, size := range []int{10, 700, 20_000, 90_000} {
		Convey(fmt.Sprintf("With messages of %d bytes a peer is read up to STREAM_RECV_BYTES, and nothing is lost", size), t, func() {
			const bound = 50_000
			k, err := Listen("tcp://127.0.0.1:*", WithRecvBytes(bound))
			must(t, err, "Listen")
			defer k.Close()
			p := dial(t, k.Addr())
			count := 3_000_000 / (size + 4)
			go func() {
				for i := range count {
					if _, err := p.Write(frame(pattern(size, i))); err != nil {
						return
					}
				}
			}()
			waiting := func() int64 { return k.shared.RxWaiting.Load() }
			eventually(t, "something waits", func() bool { return waiting() > 0 })
			most := int64(0)
			for i := -1; i < count; i++ {
				most = max(most, waiting())
				m, err := k.Recv(context.Background())
				must(t, err, "Recv")
				if i >= 0 && string(m.Body) != pattern(size, i) {
					t.Fatalf("message %d is another", i)
				}
				m.Release()
			}
			So(most, ShouldBeLessThanOrEqualTo, bound+int64(size)+4)
		})
	}
}
