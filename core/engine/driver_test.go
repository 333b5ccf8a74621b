// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/check"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

const patience = 60 * time.Second

func newShard(t *testing.T) *Shard {
	sh, err := NewShard(ThreadConfig{Name: "test", Policy: -1, Priority: -1})
	if err != nil {
		t.Fatal(err)
	}
	return sh
}

// drive takes the role from the shard's thread.
func drive(t *testing.T, sh *Shard) {
	for end := time.Now().Add(patience); !sh.TryDrive(); {
		if time.Now().After(end) {
			t.Fatal("the shard's thread does not leave the role")
		}
		sh.Post(func() { sh.handOver = awakeSocket })
		time.Sleep(10 * time.Microsecond)
	}
	sh.runMail() // a call that the thread had no turn for
	sh.handOver = nil
}

func never() bool { return false }

func received(t *testing.T, done chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		check.PrintTransitions(os.Stderr)
		t.Fatal("not in time: " + what)
	}
}

func TestShardThread(t *testing.T) {
	Convey("A shard's thread runs what is posted, in order, also when it sleeps", t, func() {
		sh := newShard(t)
		var got []int
		for i := range 100 {
			done := make(chan struct{})
			sh.Post(func() { got = append(got, i) })
			sh.Post(func() { close(done) })
			received(t, done, "a posted call")
			if i%10 == 0 {
				for !sh.Shared.Dirty.Asleep() {
					time.Sleep(time.Millisecond)
				}
			}
		}
		So(len(got), ShouldEqual, 100)
		for i, n := range got {
			So(n, ShouldEqual, i)
		}
		So(sh.Connections(), ShouldEqual, 0)
		sh.Stop()
	})
	Convey("A shard fires timers while it sleeps", t, func() {
		sh := newShard(t)
		start := time.Now()
		done := make(chan struct{})
		sh.Post(func() { sh.timers.after(30*time.Millisecond, func() { close(done) }) })
		received(t, done, "a timer")
		So(time.Since(start), ShouldBeGreaterThanOrEqualTo, 30*time.Millisecond)
		sh.Stop()
	})
	Convey("A shard stops while it sleeps, watches or rests", t, func() {
		newShard(t).Stop()
		sh := newShard(t)
		drive(t, sh)
		sh.Leave()
		sh.Stop()
		sh = newShard(t)
		drive(t, sh)
		for !sh.thread.resting.Load() {
			time.Sleep(time.Millisecond)
		}
		sh.Stop()
	})
}

func TestDriverRole(t *testing.T) {
	Convey("The driver role", t, func() {
		sh := newShard(t)
		Reset(sh.Stop)

		Convey("belongs to one at a time", func() {
			drive(t, sh)
			So(sh.TryDrive(), ShouldBeFalse)
			ran := make(chan struct{})
			sh.Post(func() { close(ran) })
			select {
			case <-ran:
				t.Fatal("the thread drove although a caller does")
			case <-time.After(20 * watchTick):
			}
			So(sh.thread.resting.Load(), ShouldBeTrue)
			sh.Leave()
			received(t, ran, "the thread's turn after a caller left")
		})
		Convey("is not called back by a receiver that the thread has woken and that sends", func() {
			left := make(chan bool)
			sh.Post(func() {
				sh.thread.wanted.Store(true) // it sleeps while the thread drives
				sh.handOver = awakeSocket
				go func() {
					for !sh.idle() && sh.thread.wanted.Load() {
						time.Sleep(10 * time.Microsecond)
					}
					left <- sh.thread.wanted.Load()
				}()
			})
			So(<-left, ShouldBeFalse)
		})
		Convey("comes back to the thread soon when the caller does not come back", func() {
			const enough = 15
			quick := 0
			for over := time.Now().Add(patience); quick < enough && time.Now().Before(over); {
				drive(t, sh)
				ran := make(chan struct{})
				sh.Post(func() { close(ran) })
				start := time.Now()
				sh.Leave()
				received(t, ran, "the thread's turn")
				if time.Since(start) < 10*watchTick {
					quick++
				}
			}
			So(quick, ShouldEqual, enough) // a busy machine takes longer
		})
		Convey("is left to a caller for longer when it comes back all the time", func() {
			So(sh.nextTick(watchTick, backOften-1, 0), ShouldEqual, watchTick)
			So(sh.nextTick(watchTick, backOften, 0), ShouldEqual, 2*watchTick)
			So(sh.nextTick(8*watchTick, 8*backOften, 0), ShouldEqual, patientTick)
			So(sh.nextTick(patientTick, 10*backOften, 0), ShouldEqual, patientTick)
			So(sh.thread.patient.Load(), ShouldBeTrue)
			So(sh.nextTick(patientTick, 9*backOften, 0), ShouldEqual, watchTick)
			So(sh.thread.patient.Load(), ShouldBeFalse)
		})
		Convey("is left to one for longer, too, that is never found away", func() {
			So(sh.nextTick(watchTick, 2, foundOften-1), ShouldEqual, watchTick)
			So(sh.nextTick(watchTick, 2, foundOften), ShouldEqual, 2*watchTick)
			So(sh.nextTick(8*watchTick, 0, foundOften), ShouldEqual, patientTick)
			So(sh.thread.patient.Load(), ShouldBeTrue)
			sh.hasMail.Store(true)
			So(sh.nextTick(patientTick, 2, foundOften), ShouldEqual, watchTick)
			sh.hasMail.Store(false)
		})
		Convey("costs a caller no signal where it is soon back, as long as something comes", func() {
			const enough = 10
			quiet := 0
			for over := time.Now().Add(patience); quiet < enough && time.Now().Before(over); quiet++ {
				drive(t, sh)
				time.Sleep(3 * watchTick) // as in the kernel
				if sh.thread.resting.Load() {
					quiet = 0
				}
				sh.Leave()
			}
			So(quiet, ShouldEqual, enough) // on a busy machine it rests now and then
		})
		Convey("is not, when the shard has something to see to", func() {
			drive(t, sh)
			for !sh.thread.resting.Load() {
				time.Sleep(time.Millisecond)
			}
			fired := make(chan struct{})
			sh.timers.after(time.Millisecond, func() { close(fired) })
			So(sh.nextTick(4*watchTick, 4*backOften, 0), ShouldEqual, 8*watchTick)
			sh.Leave()
			So(sh.owing.Load(), ShouldBeTrue)
			So(sh.thread.patient.Load(), ShouldBeFalse)
			So(sh.nextTick(4*watchTick, 4*backOften, 0), ShouldEqual, watchTick)
			received(t, fired, "a timer that was set while a caller drove")
		})
		Convey("is not, when something was posted", func() {
			drive(t, sh)
			for !sh.thread.resting.Load() {
				time.Sleep(time.Millisecond)
			}
			sh.hasMail.Store(true)
			So(sh.nextTick(4*watchTick, 4*backOften, 0), ShouldEqual, watchTick)
			sh.hasMail.Store(false)
			So(sh.nextTick(4*watchTick, 4*backOften, 0), ShouldEqual, 8*watchTick)
			ran := make(chan struct{})
			sh.Leave()
			sh.Post(func() { close(ran) })
			So(sh.thread.patient.Load(), ShouldBeFalse)
			received(t, ran, "what was posted")
		})
		Convey("is given back by a thread that rests", func() {
			drive(t, sh)
			for !sh.thread.resting.Load() {
				time.Sleep(time.Millisecond)
			}
			ran := make(chan struct{})
			sh.Leave()
			sh.Post(func() { close(ran) })
			received(t, ran, "the thread's turn after it rested")
		})
	})
}

func TestDrive(t *testing.T) {
	Convey("Drive", t, func() {
		sh := newShard(t)
		k := shm.NewQueues()
		Reset(func() {
			sh.Stop()
			shm.FreeQueues(k)
		})
		sh.Users.Store(1)
		drive(t, sh)
		Reset(sh.Leave)

		Convey("returns when the socket has a run", func() {
			sh.Post(func() { k.PushRun(&shm.Run{RunHead: shm.RunHead{Msgs: 1}}) })
			So(sh.Drive(k, time.Time{}, never), ShouldBeNil)
			So(k.NextRun(), ShouldBeTrue)
		})
		Convey("returns when another thread pushes to the socket and nudges it", func() {
			sh.Post(func() {
				go func() {
					for !sh.Shared.Dirty.Asleep() {
						time.Sleep(time.Millisecond)
					}
					k.PushRun(&shm.Run{RunHead: shm.RunHead{Msgs: 1}})
					sh.wakeSleeper()
				}()
			})
			So(sh.Drive(k, time.Now().Add(patience), never), ShouldBeNil)
		})
		Convey("ends with EAGAIN at the deadline, after one round at least", func() {
			start := time.Now()
			So(sh.Drive(k, start.Add(20*time.Millisecond), never), ShouldEqual, errno.EAGAIN)
			So(time.Since(start), ShouldBeGreaterThanOrEqualTo, 20*time.Millisecond)
			ran := false
			sh.Post(func() { ran = true })
			So(sh.Drive(k, time.Unix(1, 0), never), ShouldEqual, errno.EAGAIN)
			So(ran, ShouldBeTrue)
		})
		Convey("ends when others use the shard too", func() {
			sh.Users.Store(2)
			So(sh.Drive(k, time.Time{}, never), ShouldEqual, errNotAlone)
			sh.Users.Store(1)
			go func() {
				for !sh.Shared.Dirty.Asleep() {
					time.Sleep(time.Millisecond)
				}
				sh.Users.Store(2)
				sh.Wake()
			}()
			So(sh.Drive(k, time.Now().Add(patience), never), ShouldEqual, errNotAlone)
		})
		Convey("ends when it is asked to stop", func() {
			var stop atomic.Bool
			go func() {
				for !sh.Shared.Dirty.Asleep() {
					time.Sleep(time.Millisecond)
				}
				stop.Store(true)
				sh.Wake()
			}()
			So(sh.Drive(k, time.Now().Add(patience), stop.Load), ShouldEqual, errNotAlone)
		})
	})
}

// TestDriverStress has callers that drive and leave at random while others
// post: at every moment at most one drives, and every post runs, in order.
func TestDriverStress(t *testing.T) {
	const posters, callers, each = 2, 2, 20_000
	sh := newShard(t)
	sh.Users.Store(1)
	var inside, together, disorder, handOvers, driven atomic.Int64
	var ran [posters]atomic.Int64
	call := func(poster, number int) func() {
		return func() {
			if inside.Add(1) != 1 {
				together.Add(1)
			}
			if ran[poster].Add(1) != int64(number+1) {
				disorder.Add(1)
			}
			if number%7 == 0 {
				sh.handOver = awakeSocket
				handOvers.Add(1)
			}
			inside.Add(-1)
		}
	}
	var over atomic.Bool
	var calling, posting sync.WaitGroup
	for range callers {
		calling.Add(1)
		go func() {
			defer calling.Done()
			k := shm.NewQueues()
			defer shm.FreeQueues(k)
			for !over.Load() {
				if !sh.TryDrive() {
					time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
					continue
				}
				driven.Add(1)
				switch rand.IntN(4) {
				case 0:
					sh.flushDirty()
				case 1:
					_ = sh.Drive(k, time.Unix(1, 0), never)
				case 2:
					_ = sh.Drive(k, time.Now().Add(time.Duration(rand.IntN(2000))*time.Microsecond), never)
				}
				sh.Leave()
				if rand.IntN(50) == 0 {
					time.Sleep(3 * watchTick) // does not come back for a while
				}
			}
		}()
	}
	for p := range posters {
		posting.Add(1)
		go func() {
			defer posting.Done()
			for n := range each {
				sh.Post(call(p, n))
				if rand.IntN(100) == 0 {
					time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
				}
			}
		}()
	}
	posting.Wait()
	all := func() bool { return ran[0].Load() == each && ran[1].Load() == each }
	for end := time.Now().Add(patience); !all() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	over.Store(true)
	calling.Wait()
	Convey("Every post ran once, in order, on one driver at a time", t, func() {
		So(ran[0].Load()+ran[1].Load(), ShouldEqual, posters*each)
		So(disorder.Load(), ShouldEqual, 0)
		So(together.Load(), ShouldEqual, 0)
		So(driven.Load(), ShouldBeGreaterThan, 0)
		So(handOvers.Load(), ShouldBeGreaterThan, 0)
	})
	sh.Stop()
}

// awakeSocket stands for the socket of a receive call that was woken.
var awakeSocket = shm.NewQueues()
