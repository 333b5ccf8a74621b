// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/shm"
)

// TestLongBatch: the long messages of a batch of C come one at a time, and Flush ends the batch.
func TestLongBatch(t *testing.T) {
	const count = 4
	body := pattern(ownedMin, 1)
	// send receives, and sends count messages. alone: nobody else drove after that.
	send := func(k *Socket, p peer, id uint32) (sent int, err error, alone bool) {
		// It comes while Recv waits: the shard's thread hands the role over to a receiver that it wakes, and else keeps it.
		asked := time.AfterFunc(time.Millisecond, func() { _, _ = p.Write(frame("q")) })
		defer asked.Stop()
		m, err := k.Recv(t.Context())
		must(t, err, "Recv")
		m.Release()
		for sent < count && err == nil {
			if err = k.ForC().SendLong(id, Parcel{Body: []byte(body)}, true); err == nil {
				sent++
			}
		}
		return sent, err, k.soleShard().Shared.Driver.Load() == shm.DriverNone
	}
	arrive := func(k *Socket, p peer, sent int) {
		k.ForC().Flush()
		for range sent {
			p.want(body)
		}
	}
	Convey("They wait for its end, so one write takes them all", t, func() {
		k := newFastSocket(t, newContext(t))
		p, id := fastPeer(t, k, bind(t, k))
		waited := false
		for tries := 0; !waited; tries++ {
			if tries == 1000 {
				t.Fatal("they never wait")
			}
			sent, err, alone := send(k, p, id)
			So(err, ShouldBeNil)
			waited = alone && !k.soleShard().Shared.Dirty.Empty()
			arrive(k, p, sent)
		}
	})
	Convey("None is refused because of those before it", t, func() {
		k := newFastSocket(t, newContext(t))
		must(t, k.Set(WithSendHWM(2)), "SNDHWM")
		p, id := fastPeer(t, k, bind(t, k))
		for taken := false; !taken; {
			sent, err, alone := send(k, p, id)
			if taken = alone; alone {
				So(err, ShouldBeNil)
				So(sent, ShouldEqual, count)
			}
			arrive(k, p, sent)
		}
	})
}
