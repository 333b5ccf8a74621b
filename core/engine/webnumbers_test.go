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
		So(regexp.MustCompile(`(?m)^(net/http|mime|compress/|github.com/gobwas).*$`).FindAllString(string(out), -1), ShouldBeEmpty)
	})
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
