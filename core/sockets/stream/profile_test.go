// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"regexp"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
)

// numbers returns the values of all options that are numbers.
func numbers(t *testing.T, k *Socket) map[sockets.Option]int64 {
	all := map[sockets.Option]int64{}
	for opt := range maps.Keys(intOptions) {
		all[opt] = int64(getInt(t, k, opt))
	}
	for opt := range profiles {
		if isInt(opt) {
			continue
		}
		var buf [8]byte
		_, err := k.Option(opt, buf[:])
		must(t, err, "option %v", opt)
		all[opt] = int64(binary.NativeEndian.Uint64(buf[:]))
	}
	return all
}

func TestProfile(t *testing.T) {
	Convey("A profile sets its options, and no others", t, func() {
		k := newSocket(t, newContext(t))
		fresh := numbers(t, k)
		for opt, values := range profiles {
			So(fmt.Sprint(opt, " ", fresh[opt]), ShouldEqual, fmt.Sprint(opt, " ", values.private))
		}
		public := maps.Clone(fresh)
		public[sockets.OptProfile] = ProfilePublic
		for opt, values := range profiles {
			public[opt] = values.public
		}
		So(k.Set(WithProfile(ProfilePublic)), ShouldBeNil)
		So(numbers(t, k), ShouldResemble, public)
		So(k.Set(WithProfile(ProfilePrivate)), ShouldBeNil)
		So(numbers(t, k), ShouldResemble, fresh)

		Convey("and later settings override it, but not earlier ones", func() {
			So(k.Set(WithMaxMessageSize(7), WithProfile(ProfilePublic), WithRateBytes(8)), ShouldBeNil)
			So(k.opt.maxMsgSize, ShouldEqual, public[sockets.OptMaxMsgSize])
			So(getInt(t, k, sockets.OptRateBytes), ShouldEqual, 8)
		})
		Convey("and the time of an answer to pings follows their interval again", func() {
			So(k.Set(WithProfile(ProfilePublic), WithProfile(ProfilePrivate)), ShouldBeNil)
			set(t, k, sockets.OptHeartbeatIvl, 1234)
			So(getInt(t, k, sockets.OptHeartbeatTimeout), ShouldEqual, 1234)
		})
		Convey("and there are no others", func() {
			for _, v := range []int{-1, 2} {
				So(k.Set(WithProfile(v)), shouldBeErrno, errno.EINVAL)
			}
			So(numbers(t, k), ShouldResemble, fresh)
		})
	})
	Convey("doc/public.md has the values", t, func() {
		text, err := os.ReadFile("../../../doc/public.md")
		must(t, err, "the page")
		said := map[string]string{}
		for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z_0-9]+) \| (-?\d+) \| (-?\d+) \|`).FindAllSubmatch(text, -1) {
			said[string(row[1])] = string(row[2]) + " " + string(row[3])
		}
		for opt, values := range profiles {
			So(opt.String()+" "+said[opt.String()], ShouldEqual, fmt.Sprint(opt, " ", values.private, " ", values.public))
			delete(said, opt.String())
		}
		So(said, ShouldBeEmpty)
	})
	Convey("What bounds memory fits together", t, func() {
		public := func(opt sockets.Option) int64 { return profiles[opt].public }
		So(public(sockets.OptHeartbeatTimeout), ShouldBeLessThan, public(sockets.OptHeartbeatIvl))
		So(public(sockets.OptMaxMsgSize), ShouldBeLessThan, public(sockets.OptRateBytes))
	})
}
