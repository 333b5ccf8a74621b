// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

// frames returns frames with bodies of these sizes.
func frames(sizes ...int) []byte {
	var all []byte
	for _, size := range sizes {
		all = append(binary.BigEndian.AppendUint32(all, uint32(size)), make([]byte, size)...)
	}
	return all
}

func TestScan(t *testing.T) {
	const many = 1 << 30
	length := func(n uint32, rest int) []byte {
		return append(binary.BigEndian.AppendUint32(nil, n), make([]byte, rest)...)
	}
	join := func(parts ...[]byte) (all []byte) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	cases := []struct {
		name    string
		buf     []byte
		room    int
		maxBody int64
		want    scanned
	}{
		{"nothing", nil, many, -1, scanned{}},
		{"part of a length", []byte{0, 0, 0}, many, -1, scanned{}},
		{"an empty body", frames(0), many, -1, scanned{frames: 1, used: 4}},
		{"one frame", frames(10), many, -1, scanned{frames: 1, used: 14}},
		{"three frames", frames(1, 0, 5), many, -1, scanned{frames: 3, used: 18}},
		{"a frame but for its last byte", frames(10)[:13], many, -1, scanned{need: 14}},
		{"frames of one size, then one of another", frames(3, 3, 3, 4), many, -1, scanned{frames: 4, used: 29}},
		{"frames of one size but for the last byte", frames(3, 3, 3)[:20], many, -1, scanned{frames: 2, used: 14, need: 7}},
		{"a frame and a length", join(frames(1), length(7, 0)), many, -1, scanned{frames: 1, used: 5, need: 11}},
		{"a frame and part of a length", join(frames(1), []byte{1}), many, -1, scanned{frames: 1, used: 5}},
		{"no room", frames(1, 1), 0, -1, scanned{}},
		{"less room than frames", frames(1, 1, 1), 2, -1, scanned{frames: 2, used: 10}},
		{"no look behind the room", join(frames(1), length(7, 0)), 1, -1, scanned{frames: 1, used: 5}},
		{"the longest length", length(1<<32-1, 3), many, -1, scanned{need: 1<<32 + 3}},
		{"a length above 2^31", length(1<<31, 0), many, -1, scanned{need: 1<<31 + 4}},
		{"a body of the limit", frames(10), many, 10, scanned{frames: 1, used: 14}},
		{"a body above the limit", frames(11), many, 10, scanned{tooLong: true}},
		{"a length above the limit alone", length(11, 0), many, 10, scanned{tooLong: true}},
		{"a frame, then one above the limit", join(frames(10), length(11, 0)), many, 10,
			scanned{frames: 1, used: 14, tooLong: true}},
		{"one above the limit behind the room", join(frames(10), length(11, 0)), 1, 10, scanned{frames: 1, used: 14}},
		{"an empty body with limit 0", frames(0, 0), many, 0, scanned{frames: 2, used: 8}},
		{"a byte with limit 0", frames(1), many, 0, scanned{tooLong: true}},
		{"a limit above every length", length(1<<32-1, 0), many, 1 << 40, scanned{need: 1<<32 + 3}},
	}
	Convey("scan finds", t, func() {
		for _, c := range cases {
			Convey(c.name, func() { So(scan(c.buf, c.room, c.maxBody), ShouldResemble, c.want) })
		}
	})
}

// naive is scan written for being obviously right.
func naive(buf []byte, room int, maxBody int64) (s scanned) {
	for s.frames < room {
		rest := buf[s.used:]
		if len(rest) < 4 {
			return s
		}
		body := int64(rest[0])<<24 | int64(rest[1])<<16 | int64(rest[2])<<8 | int64(rest[3])
		if maxBody >= 0 && body > maxBody {
			s.tooLong = true
			return s
		}
		if int64(len(rest)) < 4+body {
			s.need = uint64(4 + body)
			return s
		}
		s.frames++
		s.used += int(4 + body)
	}
	return s
}

func FuzzScan(f *testing.F) {
	f.Add([]byte{}, 1, int64(-1))
	f.Add(frames(0, 1, 2, 3, 300), 1<<20, int64(-1))
	f.Add(frames(5, 5, 5), 2, int64(5))
	f.Add(frames(5, 6), 9, int64(5))
	f.Add(frames(1000)[:999], 9, int64(0))
	f.Add([]byte{255, 255, 255, 255, 1}, 9, int64(1)<<40)
	f.Add([]byte{0x80, 0, 0, 0}, 0, int64(-1<<62))
	f.Fuzz(func(t *testing.T, buf []byte, room int, maxBody int64) {
		got, want := scan(buf, room, maxBody), naive(buf, room, maxBody)
		if got != want {
			t.Fatalf("scan (%x, %d, %d) = %+v, not %+v", buf, room, maxBody, got, want)
		}
	})
}
