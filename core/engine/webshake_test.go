// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/endpoint"
)

// wire gives bytes to a handshake in pieces, and keeps what that answers.
type wire struct {
	in      []byte
	cut     func(left int) int
	answers bytes.Buffer
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.in[:w.cut(len(w.in))])
	w.in = w.in[n:]
	return n, nil
}

func (w *wire) Write(p []byte) (int, error) { return w.answers.Write(p) }

var chat = &Transport{Endpoint: endpoint.Endpoint{Scheme: endpoint.WS, Host: "x", Port: 80, Path: "/chat"}}

const request = "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// shaken upgrades what comes, and returns what of it is left for the stream.
func shaken(in string, cut func(int) int) (rest, answer string, err error) {
	w := &wire{in: []byte(in), cut: cut}
	_, early, err := upgrade(w, chat, false, nil, nil)
	return string(early) + string(w.in), w.answers.String(), err
}

func TestBareLF(t *testing.T) {
	frame := string(masked(ws.OpBinary, true, frameOf("hel\nlo\n\n")))
	Convey("A request keeps what comes behind it, however the bytes come", t, func() {
		for _, cut := range []func(int) int{whole, oneByte, anyPart} {
			rest, answer, err := shaken(request+frame, cut)
			So(err, ShouldBeNil)
			So(rest, ShouldEqual, frame)
			So(answer, ShouldStartWith, "HTTP/1.1 101 ")
		}
	})
	Convey("A request of which any line ends with LF alone gets 400", t, func() {
		all := strings.Count(request, "\r\n")
		for line := range all {
			for _, cut := range []func(int) int{whole, oneByte, anyPart} {
				parts := strings.SplitAfter(request, "\r\n")
				parts[line] = strings.Replace(parts[line], "\r\n", "\n", 1)
				_, answer, err := shaken(strings.Join(parts, "")+frame, cut)
				So(err, ShouldNotBeNil)
				So(answer, ShouldStartWith, "HTTP/1.1 400 ")
				So(strings.Count(answer, "HTTP/1.1"), ShouldEqual, 1)
			}
		}
		_, answer, err := shaken(strings.ReplaceAll(request, "\r\n", "\n")+frame, whole)
		So(err, ShouldNotBeNil)
		So(answer, ShouldStartWith, "HTTP/1.1 400 ")
	})
	Convey("An answer with such a line is refused, and gets none", t, func() {
		w := &wire{in: []byte("HTTP/1.1 101 Switching Protocols\n\n"), cut: whole}
		_, _, err := upgrade(w, chat, true, nil, nil)
		So(err, ShouldNotBeNil)
		So(err.Error(), ShouldContainSubstring, "LF alone")
		So(w.answers.String(), ShouldNotContainSubstring, "400")
	})
}

// FuzzUpgrade: whatever a request looks like, it is refused, or what comes behind
// it is kept.
func FuzzUpgrade(f *testing.F) {
	f.Add(request)
	f.Add(strings.ReplaceAll(request, "\r\n", "\n"))
	f.Add(strings.Replace(request, "\r\n\r\n", "\r\n\n", 1))
	f.Add(strings.Replace(request, "\r\n\r\n", "\n\r\n", 1))
	f.Add(strings.Replace(request, "\r\n", "\r\r\n", 1))
	f.Fuzz(keepsOrRefuses)
}

func keepsOrRefuses(t *testing.T, head string) {
	tail := string(masked(ws.OpBinary, true, frameOf("behind")))
	rest, answer, err := shaken(head+tail, whole)
	if err == nil && !strings.HasSuffix(rest, tail) {
		t.Fatalf("accepted %q, and of what came behind it this is left: %q", head, rest)
	}
	if err == nil && !strings.HasPrefix(answer, "HTTP/1.1 101 ") {
		t.Fatalf("accepted %q with %q", head, answer)
	}
}

func TestUpgradeAtRandom(t *testing.T) {
	t.Run("mutants of a request are refused or lose nothing", func(t *testing.T) {
		pieces := []string{"\r", "\n", "\r\n", "\n\n", "\r\n\r\n", ":", " ", "\x00", "Host: y", ","}
		accepted := 0
		for range 20_000 {
			head := request
			for range 1 + rand.IntN(3) {
				at := rand.IntN(len(head))
				piece := pieces[rand.IntN(len(pieces))]
				head = head[:at] + piece + head[min(len(head), at+rand.IntN(3)):]
			}
			keepsOrRefuses(t, head)
			if _, _, err := shaken(head, whole); err == nil {
				accepted++
			}
		}
		if accepted == 0 {
			t.Fatal("none was accepted, so nothing was tried")
		}
	})
}
