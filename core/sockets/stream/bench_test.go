// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

// inFlight is how many messages a client has under way.
const inFlight = 30

// echoRounds sends batches of inFlight messages to an echo socket and reads the
// answers, without allocating.
type echoRounds struct {
	p           peer
	out, answer []byte
}

func newEchoRounds(t testing.TB, endpoint string, size int) *echoRounds {
	r := &echoRounds{p: dial(t, endpoint)}
	for n := range inFlight {
		r.out = append(r.out, frame(pattern(size, n))...)
	}
	r.answer = make([]byte, len(r.out))
	return r
}

func (r *echoRounds) round(t testing.TB) {
	done := 0
	// In pieces, as neither side's buffers hold 2 MiB both ways.
	for piece := len(r.out) / max(1, len(r.out)/(64<<10)); done < len(r.out); {
		end := min(done+piece, len(r.out))
		if _, err := r.p.Write(r.out[done:end]); err != nil {
			t.Fatal(err)
		}
		done = end
	}
	if _, err := io.ReadFull(r.p.Conn, r.answer); err != nil {
		t.Fatal(err)
	}
}

func benchmarkEcho(b *testing.B, size int) {
	k := newSocket(b, newContext(b))
	r := newEchoRounds(b, bind(b, k), size)
	_ = r.p.SetDeadline(time.Time{})
	serve(b, k)
	r.round(b)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += inFlight {
		r.round(b)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func BenchmarkEcho64B(b *testing.B)  { benchmarkEcho(b, 64) }
func BenchmarkEcho1K(b *testing.B)   { benchmarkEcho(b, 1<<10) }
func BenchmarkEcho64K(b *testing.B)  { benchmarkEcho(b, 64<<10) }
func BenchmarkEchoOneB(b *testing.B) { benchmarkLatency(b) }

// benchmarkLatency has one message under way.
func benchmarkLatency(b *testing.B) {
	k := newSocket(b, newContext(b))
	p := dial(b, bind(b, k))
	_ = p.SetDeadline(time.Time{})
	serve(b, k)
	out, in := frame("x."), make([]byte, 6)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(p.Conn, in); err != nil {
			b.Fatal(err)
		}
	}
}

// echoBuffered answers `messages` messages with the calls that an application
// has, in buffers of its own.
func echoBuffered(k *Socket, id, body []byte, messages int) error {
	for range messages {
		idSize, _, err := k.RecvFrame(id, false)
		if err != nil {
			return err
		}
		size, _, err := k.RecvFrame(body, false)
		if err != nil {
			return err
		}
		if err := k.SendFrame(id[:idSize], true, false); err != nil {
			return err
		}
		if err := k.SendFrame(body[:size], false, false); err != nil {
			return err
		}
	}
	return nil
}

func TestNoAllocations(t *testing.T) {
	if raceBuild {
		t.Skip("the race detector allocates")
	}
	for _, size := range []int{64, 1024, 20_000} {
		k := newSocket(t, newContext(t))
		r := newEchoRounds(t, bind(t, k), size)
		want(t, k, connected)
		id, body := make([]byte, 255), make([]byte, size)
		const rounds, messages = 300, 300 * inFlight
		run := func() error {
			served := make(chan error, 1)
			go func() { served <- echoBuffered(k, id, body, messages) }()
			for range rounds {
				r.round(t)
			}
			return <-served
		}
		err := run() // warms up pools and buffers
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err == nil {
			err = run()
		}
		runtime.ReadMemStats(&after)
		perMessage := float64(after.Mallocs-before.Mallocs) / messages
		t.Logf("%d bytes: %.5f heap allocations per message, received and sent", size, perMessage)
		Convey(fmt.Sprintf("Receiving and sending %d bytes takes nothing from Go's heap", size), t, func() {
			So(err, ShouldBeNil)
			So(perMessage, ShouldBeLessThan, 0.01)
		})
	}
}
