// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
)

// webServer listens on ws in the mode FAST.
func webServer(t testing.TB, settings ...Setting) *Socket {
	t.Helper()
	k := newSocket(t, newContext(t))
	must(t, k.Set(append(settings, WithMode(ModeFast))...), "settings")
	must(t, k.Bind("ws://127.0.0.1:*"), "Bind")
	return k
}

func TestSubprotocols(t *testing.T) {
	Convey("The first subprotocol of the server's list that a client offers is chosen, and told", t, func() {
		k := webServer(t, WithWebProtocols("v2.chat, chat"), WithProperties("WS-Protocol"))
		for offered, want := range map[string]string{"chat": "chat", "chat, v2.chat": "v2.chat", "x,chat": "chat", "x": "", "Chat": "", "": ""} {
			_, answer := knock(t, lastEndpoint(t, k), "/", "Sec-WebSocket-Protocol: "+offered)
			So(answer.StatusCode, ShouldEqual, http.StatusSwitchingProtocols)
			So(answer.Header.Get("Sec-WebSocket-Protocol"), ShouldEqual, want)
			up := recvKind(t, k, Connected)
			got, has := up.Property("WS-Protocol")
			So(got, ShouldEqual, want)
			So(has, ShouldEqual, want != "")
		}
		_, answer := knock(t, lastEndpoint(t, k), "/", "Sec-WebSocket-Protocol: x", "Sec-WebSocket-Protocol: chat")
		So(answer.Header.Values("Sec-WebSocket-Protocol"), ShouldResemble, []string{"chat"})
	})
	Convey("A server without a list chooses none", t, func() {
		_, answer := knock(t, lastEndpoint(t, webServer(t)), "/", "Sec-WebSocket-Protocol: chat")
		So(answer.Header, ShouldNotContainKey, "Sec-Websocket-Protocol")
	})
}

func TestOrigins(t *testing.T) {
	status := func(k *Socket, fields ...string) int {
		_, answer := knock(t, lastEndpoint(t, k), "/", fields...)
		return answer.StatusCode
	}
	Convey("A list of origins refuses pages of others, and lets programs in, which have none", t, func() {
		k := webServer(t, WithWebOrigins("https://a.example, http://B.example:8080 null"))
		for origin, want := range map[string]int{"https://a.example": 101, "HTTPS://A.example:443": 101, "http://b.example:8080": 101, "null": 101,
			"http://a.example": 403, "https://a.example.evil": 403, "https://evil/https://a.example": 403, "http://b.example": 403, "": 403} {
			So(status(k, "Origin: "+origin), ShouldEqual, want)
		}
		So(status(k), ShouldEqual, 101)
		So(status(k, "Origin: https://a.example", "Origin: https://a.example"), ShouldEqual, 400)
		So(status(webServer(t, WithWebOrigins("*"), WithProperties("WS-Header:Cookie")), "Origin: https://evil"), ShouldEqual, 101)
	})
	Convey("Without a list, pages of other hosts are refused once the socket keeps what browsers send by themselves", t, func() {
		for _, kept := range []string{"WS-Header:cookie", "WS-Header:Authorization", "TLS-Peer-Subject", "Proxy-TLS-Peer-CN"} {
			k := webServer(t, WithProperties(kept))
			So(status(k, "Origin: https://evil"), ShouldEqual, 403)
			So(status(k, "Origin: null"), ShouldEqual, 403)
			So(status(k, "Origin: http://a"), ShouldEqual, 101) // the Host of knock is a
			So(status(k, "Origin: https://A:443"), ShouldEqual, 101)
			So(status(k), ShouldEqual, 101)
		}
		So(status(webServer(t, WithProperties("WS-Path WS-Header:User-Agent")), "Origin: https://evil"), ShouldEqual, 101)
	})
}

func TestHealthPath(t *testing.T) {
	Convey("The health path answers 200, in HTTP/1.0 as well, and nobody hears of it", t, func() {
		k, m := watched(t, "ws://127.0.0.1:*/chat", WithWebHealth("/health"))
		for request, want := range map[string]int{"GET /health HTTP/1.0\r\n\r\n": 200, "HEAD /health?x HTTP/1.1\r\nHost: a\r\n\r\n": 200} {
			conn := plain(t, "tcp://"+address(lastEndpoint(t, k)))
			_, err := io.WriteString(conn, request)
			must(t, err, "write")
			answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: request[:4]})
			must(t, err, "answer")
			So(answer.StatusCode, ShouldEqual, want)
			must(t, conn.Close(), "close")
			So(nextEvent(t, m).Kind, ShouldEqual, engine.EventAccepted)
			So(nextEvent(t, m).Cause, ShouldEqual, engine.CausePeerClosed)
		}
		_, answer := knock(t, lastEndpoint(t, k), "/health")
		So(answer.StatusCode, ShouldEqual, http.StatusNotFound)
	})
}

func TestWebPaths(t *testing.T) {
	Convey("A server takes the path of its endpoint and those of the list, and tells which", t, func() {
		k := newSocket(t, newContext(t))
		must(t, k.Set(WithMode(ModeFast), WithWebPaths("/game, /rooms/*"), WithProperties("WS-Path")), "settings")
		must(t, k.Bind("ws://127.0.0.1:*/chat"), "Bind")
		for path, want := range map[string]int{"/chat": 101, "/game": 101, "/rooms/": 101, "/rooms/a/b?c": 101,
			"/": 404, "/chat/": 404, "/games": 404, "/rooms": 404, "/Game": 404, "/x/rooms/a": 404, "/rooms%2Fa": 404, "*": 404} {
			_, answer := knock(t, lastEndpoint(t, k), path)
			So(answer.StatusCode, ShouldEqual, want)
			if want == http.StatusSwitchingProtocols {
				up := recvKind(t, k, Connected)
				got, _ := up.Property("WS-Path")
				path, _, _ = strings.Cut(path, "?")
				So(got, ShouldEqual, path)
			}
		}
	})
	Convey("/* is all paths", t, func() {
		k := webServer(t, WithWebPaths("/*"))
		_, answer := knock(t, lastEndpoint(t, k), "/any/thing")
		So(answer.StatusCode, ShouldEqual, http.StatusSwitchingProtocols)
	})
}

// askHealth asks a server for a path as balancers do, and returns the status and the phrase.
func askHealth(t testing.TB, endpoint, path string) (status int, body string) {
	t.Helper()
	conn := plain(t, "tcp://"+address(endpoint))
	_, err := io.WriteString(conn, "GET "+path+" HTTP/1.0\r\n\r\n")
	must(t, err, "write")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err, "answer")
	text, err := io.ReadAll(answer.Body)
	must(t, err, "body")
	must(t, conn.Close(), "close")
	return answer.StatusCode, string(text)
}

func TestHealthWhileDraining(t *testing.T) {
	Convey("While a socket drains, its health path answers 503, and so does all else, but nobody waits for whom it tells", t, func() {
		d := newDrainer(t, newContext(t))
		k := d.Socket
		must(t, k.Set(WithWebHealth("/health"), WithHandshakeTimeout(0)), "settings")
		must(t, k.Bind("ws://127.0.0.1:*"), "Bind")
		endpoint := lastEndpoint(t, k)
		conn, _ := knock(t, endpoint, "/")
		silent := plain(t, "tcp://"+address(endpoint)) // begins before
		status, _ := askHealth(t, endpoint, "/health")
		So(status, ShouldEqual, http.StatusOK)
		must(t, k.Drain(forever, 0), "Drain")
		for _, path := range []string{"/health", "/", "/other"} {
			status, body := askHealth(t, endpoint, path)
			So(status, ShouldEqual, http.StatusServiceUnavailable)
			So(body, ShouldEqual, "the server goes out of service\n")
		}
		_, answer := knock(t, endpoint, "/")
		So(answer.StatusCode, ShouldEqual, http.StatusServiceUnavailable)
		for range 3 {
			plain(t, "tcp://"+address(endpoint)) // say nothing, and would never be over
		}
		must(t, silent.Close(), "close")
		must(t, conn.Close(), "close")
		came, went := d.wantDrained()
		So([]int{came, went}, ShouldResemble, []int{1, 1})
		eventually(t, "nobody listens", func() bool {
			late, err := net.Dial("tcp", address(endpoint))
			if err == nil {
				_ = late.Close()
			}
			return err != nil
		})
	})
	Convey("A socket that is closed while it drains does not answer any more", t, func() {
		k := webServer(t, WithWebHealth("/health"))
		endpoint := lastEndpoint(t, k)
		conn, _ := knock(t, endpoint, "/")
		recvKind(t, k, Connected)
		must(t, k.Drain(forever, 0), "Drain")
		plain(t, "tcp://"+address(endpoint))
		status, _ := askHealth(t, endpoint, "/health")
		So(status, ShouldEqual, http.StatusServiceUnavailable)
		must(t, k.Close(), "Close")
		must(t, conn.Close(), "close")
		_, err := net.Dial("tcp", address(endpoint))
		So(err, ShouldNotBeNil)
	})
	Convey("Without a health path, or without WebSocket, nobody listens while it drains", t, func() {
		k := webServer(t)
		_, _ = knock(t, lastEndpoint(t, k), "/")
		must(t, k.Drain(forever, 0), "Drain")
		_, err := net.Dial("tcp", address(lastEndpoint(t, k)))
		So(err, ShouldNotBeNil)
	})
}

func TestWebRuleOptions(t *testing.T) {
	Convey("A wrong rule is named, and the one before it stays", t, func() {
		k := newSocket(t, newContext(t))
		for _, c := range []struct {
			set  func(string) Setting
			bad  []string
			good string
		}{
			{WithWebProtocols, []string{"a(b", "chat;"}, "chat"},
			{WithWebOrigins, []string{"a.example", "https://", "https://a/b", "https://:80", "https://*.a.example"}, "https://a.example https://[::1]:8443"},
			{WithWebPaths, []string{"game", "/a*b", "/*/", "/a?b", "/a#b", "/\x7f", "/ä"}, "/game /rooms/*"},
			{WithWebHealth, []string{"health", "/health?x", "/a b", "/ä", "/#"}, "/health"},
		} {
			must(t, k.Set(c.set(c.good)), "set %s", c.good)
			for _, bad := range c.bad {
				err := k.Set(c.set(bad))
				So(err, shouldBeErrno, errno.EINVAL)
				So(fmt.Sprint(errno.Detail(err)), ShouldContainSubstring, "does not take the value")
			}
		}
		So(len(k.opt.web.Protocols), ShouldEqual, 1)
		So(k.opt.web.Health, ShouldEqual, "/health")
	})
}
