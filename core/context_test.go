// SPDX-License-Identifier: MPL-2.0

package core

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
)

// stub is a socket that counts its terminations.
type stub struct{ terminated atomic.Int32 }

func (s *stub) Terminate() { s.terminated.Add(1) }

func TestContextOptions(t *testing.T) {
	const none = math.MinInt32 // cannot be read
	cases := []struct {
		name      string
		opt       int
		dflt      int
		good, bad []int
	}{
		{"IO_THREADS", 1, 2, []int{0, 1, 4, 1000}, []int{-1}},
		{"MAX_SOCKETS", 2, 1023, []int{1, 65535}, []int{0, -1}},
		{"THREAD_PRIORITY", 3, none, []int{0, 1, 99}, []int{-1}},
		{"THREAD_SCHED_POLICY", 4, -1, []int{0, 1, 2}, []int{-1}},
		{"MAX_MSGSZ", 5, math.MaxInt32, []int{0, 1000}, []int{-1}},
		{"THREAD_AFFINITY_CPU_ADD", 7, none, []int{0, 1, 1, 1023}, []int{-1, 1024}},
		{"THREAD_AFFINITY_CPU_REMOVE", 8, none, nil, []int{-1, 0, 5}},
		{"THREAD_NAME_PREFIX", 9, -1, []int{0, 7}, []int{-1}},
		{"IPV6", 42, 0, []int{1, 0}, []int{-1, 2}},
		{"BLOCKY", 70, 1, []int{0, 1}, []int{-1, 2}},
	}
	Convey("The context option", t, func() {
		c := NewContext()
		for _, o := range cases {
			Convey(o.name, func() {
				got, err := c.Get(o.opt)
				if o.dflt == none && o.opt != OptSocketLimit {
					So(errno.Of(err), ShouldEqual, errno.EINVAL)
				} else if o.opt != OptSocketLimit {
					So(err, ShouldBeNil)
					So(got, ShouldEqual, o.dflt)
				}
				for _, v := range o.good {
					So(c.Set(o.opt, v), ShouldBeNil)
					if o.dflt != none {
						got, _ := c.Get(o.opt)
						So(got, ShouldEqual, v)
					}
				}
				before, _ := c.Get(o.opt)
				for _, v := range o.bad {
					err := c.Set(o.opt, v)
					So(errno.Of(err), ShouldEqual, errno.EINVAL)
					So(errno.Detail(err), ShouldNotBeEmpty)
				}
				after, _ := c.Get(o.opt)
				So(after, ShouldEqual, before)
			})
		}
		Convey("MAX_SOCKETS above SOCKET_LIMIT is cut to it", func() {
			for _, v := range []int{65536, 1_000_000, math.MaxInt32} {
				So(c.Set(OptMaxSockets, 1), ShouldBeNil)
				So(c.Set(OptMaxSockets, v), ShouldBeNil)
				got, err := c.Get(OptMaxSockets)
				So(err, ShouldBeNil)
				So(got, ShouldEqual, 65535)
			}
		})
		Convey("SOCKET_LIMIT and MSG_T_SIZE can only be read", func() {
			limit, err := c.Get(OptSocketLimit)
			So(err, ShouldBeNil)
			So(limit, ShouldEqual, 65535)
			size, err := c.Get(OptMsgSize)
			So(err, ShouldBeNil)
			So(size, ShouldEqual, 64)
			So(errno.Of(c.Set(OptMsgSize, 64)), ShouldEqual, errno.EINVAL)
		})
		Convey("a processor that was added can be removed, once", func() {
			So(c.Set(OptThreadAffinityAdd, 0), ShouldBeNil)
			So(c.Set(OptThreadAffinityRemove, 0), ShouldBeNil)
			So(errno.Of(c.Set(OptThreadAffinityRemove, 0)), ShouldEqual, errno.EINVAL)
		})
		Convey("that is unknown is EINVAL", func() {
			for _, opt := range []int{0, 10, 41, 71, -1} {
				So(errno.Of(c.Set(opt, 1)), ShouldEqual, errno.EINVAL)
				_, err := c.Get(opt)
				So(errno.Of(err), ShouldEqual, errno.EINVAL)
			}
		})
		Convey("BLOCKY and IPV6 are the sockets' defaults", func() {
			So(c.DefaultLinger(), ShouldEqual, -1)
			So(c.DefaultIPv6(), ShouldBeFalse)
			So(c.Set(OptBlocky, 0), ShouldBeNil)
			So(c.Set(OptIPv6, 1), ShouldBeNil)
			So(c.DefaultLinger(), ShouldEqual, 0)
			So(c.DefaultIPv6(), ShouldBeTrue)
		})
	})
}

func TestSockets(t *testing.T) {
	Convey("A context", t, func() {
		c := NewContext()
		Convey("has at most MAX_SOCKETS sockets; a closed one makes room", func() {
			So(c.Set(OptMaxSockets, 2), ShouldBeNil)
			a, b := &stub{}, &stub{}
			So(c.Add(a), ShouldBeNil)
			So(c.Add(b), ShouldBeNil)
			err := c.Add(&stub{})
			So(errno.Of(err), ShouldEqual, errno.EMFILE)
			So(errno.Detail(err), ShouldContainSubstring, "2")
			c.Closed(a)
			So(c.Add(&stub{}), ShouldBeNil)
			So(errno.Of(c.Add(&stub{})), ShouldEqual, errno.EMFILE)
		})
		Convey("terminates its sockets at a shutdown, and takes no new ones", func() {
			a, b := &stub{}, &stub{}
			So(c.Add(a), ShouldBeNil)
			So(c.Add(b), ShouldBeNil)
			c.Closed(b)
			c.Shutdown()
			So(a.terminated.Load(), ShouldEqual, 1)
			So(b.terminated.Load(), ShouldEqual, 0)
			So(errno.Of(c.Add(&stub{})), ShouldEqual, errno.ETERM)
		})
		Convey("without sockets ends at once, and again", func() {
			So(c.Term(), ShouldBeNil)
			So(c.Term(), ShouldBeNil)
		})
		Convey("ends when its sockets are closed and their linger is over, not before", func() {
			a := &stub{}
			So(c.Add(a), ShouldBeNil)
			over := make(chan error, 1)
			go func() { over <- c.Term() }()
			still := func() bool {
				select {
				case <-over:
					return false
				case <-time.After(20 * time.Millisecond):
					return true
				}
			}
			So(still(), ShouldBeTrue)
			So(a.terminated.Load(), ShouldEqual, 1)
			c.Closed(a)
			So(still(), ShouldBeTrue)
			c.Done()
			So(<-over, ShouldBeNil)
		})
	})
}

func TestShards(t *testing.T) {
	Convey("The io threads", t, func() {
		c := NewContext()
		Reset(func() { _ = c.Term() })
		shard := func(affinity uint64) *engine.Shard {
			sh, err := c.Shard(affinity)
			So(err, ShouldBeNil)
			return sh
		}
		Convey("are picked by AFFINITY", func() {
			So(c.Set(OptIOThreads, 4), ShouldBeNil)
			seen := map[*engine.Shard]bool{}
			for n := range 4 {
				sh := shard(1 << n)
				So(seen[sh], ShouldBeFalse)
				seen[sh] = true
				So(shard(1<<n) == sh, ShouldBeTrue)
			}
			So(seen[shard(0)], ShouldBeTrue)
			So(seen[shard(math.MaxUint64)], ShouldBeTrue)
			_, err := c.Shard(1 << 4)
			So(errno.Of(err), ShouldEqual, errno.EMTHREAD)
			So(errno.Detail(err), ShouldContainSubstring, "0x10")
		})
		Convey("cannot be changed in number once one runs", func() {
			shard(0)
			So(errno.Of(c.Set(OptIOThreads, 3)), ShouldEqual, errno.EINVAL)
		})
		Convey("are one at least", func() {
			So(c.Set(OptIOThreads, 0), ShouldBeNil)
			So(shard(0) == shard(1), ShouldBeTrue)
			_, err := c.Shard(2)
			So(errno.Of(err), ShouldEqual, errno.EMTHREAD)
		})
		Convey("serve connections on at most half of the processors", func() {
			defer func(was string) { testThreads = was }(testThreads)
			testThreads = ""
			So(c.Set(OptIOThreads, 64), ShouldBeNil)
			So(c.spread(), ShouldEqual, min(64, max(1, runtime.NumCPU()/2)))
			So(c.Set(OptIOThreads, 1), ShouldBeNil)
			So(c.spread(), ShouldEqual, 1)
		})
		Convey("serve connections on all of them in a build for tests", func() {
			defer func(was string) { testThreads = was }(testThreads)
			testThreads = "3"
			So(c.spread(), ShouldEqual, 3)
			So(c.Set(OptIOThreads, 5), ShouldBeNil)
			So(c.spread(), ShouldEqual, 5)
		})
		Convey("have a processor of Go's scheduler each, and two more", func() {
			So(c.Set(OptIOThreads, 6), ShouldBeNil)
			shard(0)
			So(runtime.GOMAXPROCS(0), ShouldBeGreaterThanOrEqualTo, 8)
		})
		Convey("have names, with the prefix in front, of 15 bytes at most", func() {
			So(c.threadName(3), ShouldEqual, "ZLINKbg/IO/3")
			So(c.Set(OptThreadNamePrefix, 123), ShouldBeNil)
			So(c.threadName(3), ShouldEqual, "123/ZLINKbg/IO/")
			shard(1)
			So(waitFor(func() bool { return strings.Contains(threadNames(), "123/ZLINKbg/IO/") }), ShouldBeTrue)
		})
		Convey("are gone after Term", func() {
			So(c.Set(OptThreadNamePrefix, 77), ShouldBeNil)
			shard(1)
			So(waitFor(func() bool { return strings.Contains(threadNames(), "77/ZLINK") }), ShouldBeTrue)
			So(c.Term(), ShouldBeNil)
			So(waitFor(func() bool { return !strings.Contains(threadNames(), "77/ZLINK") }), ShouldBeTrue)
		})
	})
}

func waitFor(holds func() bool) bool {
	for range 5000 {
		if holds() {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// threadNames returns the names of the process's threads.
func threadNames() string {
	paths, _ := filepath.Glob("/proc/self/task/*/comm")
	var all []string
	for _, path := range paths {
		name, _ := os.ReadFile(path)
		all = append(all, string(name))
	}
	return strings.Join(all, "")
}
