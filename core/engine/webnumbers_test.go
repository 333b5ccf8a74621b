// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestWebMask(t *testing.T) {
	Convey("A mask goes on and comes off, at any offset and of any length", t, func() {
		for size := range 1200 {
			for offset := range 6 {
				var mask [4]byte
				text := make([]byte, size)
				for i := range text {
					text[i] = byte(rand.Uint32())
				}
				for i := range mask {
					mask[i] = byte(rand.Uint32())
				}
				want := bytes.Clone(text)
				for i := range want {
					want[i] ^= mask[(offset+i)%4]
				}
				got := append(bytes.Clone(text), "untouched"...)
				webMask(got[:size], mask, offset)
				if !bytes.Equal(got[:size], want) || string(got[size:]) != "untouched" {
					t.Fatalf("%d bytes at %d", size, offset)
				}
			}
		}
	})
}

func TestNoHTTP(t *testing.T) {
	Convey("The library has no net/http, whose start and tables every process would pay for", t, func() {
		out, err := exec.Command("go", "list", "-deps", "../../capi").Output()
		So(err, ShouldBeNil)
		So(regexp.MustCompile(`(?m)^(net/http|mime|compress/gzip|github.com/gobwas).*$`).FindAllString(string(out), -1), ShouldBeEmpty)
	})
}

func TestWebMaskMoves(t *testing.T) {
	Convey("A payload is unmasked while it moves to the front, over any distance", t, func() {
		for size := range 300 {
			for distance := range 80 {
				mask, offset := [4]byte{0x12, 0x9a, 0xf1, 0x33}, size+distance
				buf := make([]byte, distance+size+8)
				for i := range buf {
					buf[i] = byte(i*7 + size)
				}
				want, behind := make([]byte, size), bytes.Clone(buf[distance+size:])
				for i := range want {
					want[i] = buf[distance+i] ^ mask[(offset+i)%4]
				}
				webMaskTo(buf, buf[distance:distance+size], mask, offset)
				if !bytes.Equal(buf[:size], want) || !bytes.Equal(buf[distance+size:], behind) {
					t.Fatalf("%d bytes over %d", size, distance)
				}
			}
		}
	})
}

func BenchmarkWebMaskMoves(b *testing.B) {
	for _, size := range []int{64, 1024, 30 << 10} {
		buf := make([]byte, size+8)
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				webMaskTo(buf, buf[8:], [4]byte{1, 2, 3, 4}, 1)
			}
		})
	}
}

func BenchmarkWebMask(b *testing.B) {
	for _, size := range []int{8, 64, 1024, 64 << 10} {
		payload := make([]byte, size)
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				webMask(payload, [4]byte{1, 2, 3, 4}, 1)
			}
		})
	}
}
