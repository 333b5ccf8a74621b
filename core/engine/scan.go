// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"math"
)

// scanned is the result of scan.
type scanned struct {
	frames  int
	used    int    // bytes of those frames
	need    uint64 // size of the incomplete frame behind them, if its length has come
	tooLong bool   // that frame is longer than allowed
}

// scan finds the whole frames at the start of buf, at most room of them.
func scan(buf []byte, room int, maxBody int64) scanned {
	var found scanned
	if maxBody < 0 {
		maxBody = math.MaxInt64
	}
	for found.frames < room && len(buf)-found.used >= lengthSize {
		body := uint64(binary.BigEndian.Uint32(buf[found.used:]))
		if int64(body) > maxBody {
			found.tooLong = true
			return found
		}
		size := lengthSize + body
		if size > uint64(len(buf)-found.used) {
			found.need = size
			return found
		}
		n := alike(buf[found.used:], int(size), room-found.frames)
		found.used += n * int(size)
		found.frames += n
	}
	return found
}

// alike returns how many frames at the start of data, at most room, have the length field of the
// first, which is whole and takes size bytes. It knows where the next field is before it has read
// this one, so that the processor reads many at a time.
func alike(data []byte, size, room int) (n int) {
	first := binary.LittleEndian.Uint32(data)
	at := size
	for n = 1; n < room && len(data)-at >= size && binary.LittleEndian.Uint32(data[at:]) == first; n++ {
		at += size
	}
	return n
}
