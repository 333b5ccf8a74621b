// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// written is a stream of frames, and where each one ends.
type written struct {
	stream []byte
	ends   []uint64
}

func (w *written) frame(body int) {
	w.stream = binary.BigEndian.AppendUint32(w.stream, uint32(body))
	w.stream = append(w.stream, make([]byte, body)...)
	w.ends = append(w.ends, uint64(len(w.stream)))
}

// beyond counts the first n bytes' whole frames that end behind an offset.
func (w *written) beyond(n, offset uint64) (count uint64) {
	for _, end := range w.ends {
		if end <= n && end > offset {
			count++
		}
	}
	return count
}

func TestLedger(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sizes := map[string]func() int{
		"of one size":     func() int { return 100 },
		"without a body":  func() int { return 0 },
		"of any size":     func() int { return random.IntN(3000) },
		"of a few sizes":  func() int { return 10 * random.IntN(3) },
		"of growing size": func() int { return random.IntN(1 << random.IntN(16)) },
	}
	for name, size := range sizes {
		Convey("Messages "+name+" are told from bytes, however they were written", t, func() {
			var w written
			l := *newLedger(FramingLength)
			for range 400 {
				w.frame(size())
			}
			wrong := 0
			for at := uint64(0); at < uint64(len(w.stream)); {
				n := min(uint64(1+random.IntN(1<<random.IntN(14))), uint64(len(w.stream))-at)
				if body := l.left; body > 0 && random.IntN(2) == 0 { // it lies elsewhere
					n = min(n, body)
					l.skip(n)
				} else {
					l.add(w.stream[at : at+n])
				}
				at += n
				offset := uint64(random.IntN(int(at + 1)))
				if l.beyond(offset) != w.beyond(at, offset) || l.frames != w.beyond(at, 0) {
					wrong++
				}
			}
			So(wrong, ShouldEqual, 0)
			So(l.ended, ShouldEqual, uint64(len(w.stream)))
		})
	}
	Convey("What was acknowledged is forgotten", t, func() {
		var w written
		l := *newLedger(FramingLength)
		for i := range 400 {
			w.frame(i)
		}
		l.add(w.stream)
		offset := w.ends[300] + 1
		l.forget(offset)
		So(len(l.older), ShouldBeLessThan, 101)
		So(cap(l.older), ShouldBeLessThan, 400)
		So(l.beyond(offset), ShouldEqual, 99)
		l.forget(l.ended)
		So(len(l.older), ShouldEqual, 0)
		So(l.beyond(l.ended), ShouldEqual, 0)
	})
	Convey("Of more changes of size than are kept the count is an upper bound", t, func() {
		var w written
		l := *newLedger(FramingLength)
		for i := range 20 * entriesMost {
			w.frame(i % 7)
		}
		l.add(w.stream)
		So(len(l.older), ShouldBeLessThanOrEqualTo, entriesMost)
		n := uint64(len(w.stream))
		So(l.beyond(0), ShouldEqual, w.beyond(n, 0))
		for range 100 {
			offset := uint64(random.IntN(int(n)))
			So(l.beyond(offset), ShouldBeBetweenOrEqual, w.beyond(n, offset), w.beyond(n, offset)+8*20)
		}
	})
}
