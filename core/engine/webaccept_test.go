// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	. "github.com/smartystreets/goconvey/convey"
)

// changed is the request with one text in place of another.
func changed(from, to string) string { return strings.Replace(request, from, to, 1) }

// more is the request with lines behind its own.
func more(lines string) string { return strings.TrimSuffix(request, "\r\n") + lines + "\r\n" }

// accepted are requests that ask for the WebSocket, in forms that others have.
var accepted = []string{
	request,
	"\r\n" + request,
	"\r\n\r\n" + request,
	changed("GET /chat", "GET http://a:8080/chat"),
	changed("GET /chat", "GET HTTPS://[::1]/chat?x=1"),
	changed("GET /chat", "GET ws://a/chat"),
	changed("GET /chat", "GET /chat?a=b?c|{}^"),
	changed("Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade"),
	changed("Connection: Upgrade", "Connection: keep-alive,, Upgrade ,"),
	changed("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: WebSocket"),
	changed("Upgrade: websocket", "Upgrade:\t foo/1, WEBSOCKET\t"),
	changed("Host: x", "Host:"),
	changed("Host: x", "Host: [::1]:80"),
	changed("Host: x", "hOST:x.example:"),
	more("Content-Length: 0\r\n"),
	more("Sec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions:\r\n"),
	more("X_Real_IP: \xfc\t\"=?\r\n"),
}

// refused are requests that are not taken, by the status of their answers.
var refused = map[int][]string{
	400: {
		more("Host: y\r\n"), more("Host: x\r\n"), changed("Host: x\r\n", ""), changed("Host: x", "Host : x"),
		changed("Host: x", "Host: x, y"), changed("Host: x", "Host: a b"), changed("Host: x", "Host: a/b"),
		changed("Host: x", "Host: u@a"), changed("Host: x", "Host: a:b"), changed("Host: x", "Host: [::1"),
		changed("Host: x", " Host: x"), changed("Host: x", ": x"), changed("Host: x", "Ho st: x"),
		changed("Host: x", "Host: x\x00"), changed("Host: x", "Host\x00: x"), changed("Host: x", "Host: \x7f"),
		more("A: b\r\n c\r\n"), more("A: b\r\n\tc\r\n"), more("A: b\rC: d\r\n"), more("A: b\r\r\n"), more("nonsense\r\n"),
		more("Content-Length: 5\r\n"), more("Content-Length: +0\r\n"), more("Content-Length: 0, 0\r\n"),
		more("Content-Length:\r\n"), more("Content-Length: 0\r\nContent-Length: 0\r\n"), more("Content-Length: 0x0\r\n"),
		more("Transfer-Encoding: chunked\r\n"), more("Transfer-Encoding: identity\r\n"), more("Transfer-Encoding:\r\n"),
		more("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
		more("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), more("Sec-WebSocket-Version: 13\r\n"),
		changed("dGhlIHNhbXBsZSBub25jZQ==", "!!!!!!!!!!!!!!!!!!!!!!!!"), changed("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"),
		changed("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="),
		changed("Upgrade: websocket\r\n", ""), changed("Upgrade: websocket", "Upgrade: websocket2"),
		changed("Upgrade: websocket", "Upgrade: web socket"), changed("Connection: Upgrade\r\n", ""),
		changed("GET /chat", "GET  /chat"), changed("GET /chat", "GET /chat "), changed("GET /chat", "GET chat"),
		changed("GET /chat", "GET http:///chat"), changed("GET /chat", "GET http://u@a/chat"), changed("GET /chat", "GET ftp://a/chat"),
		changed("GET /chat", "GET /chat#a"), changed("GET /chat", "GET /ch\xe4t"), changed("GET /chat", "G(T /chat"),
		changed("HTTP/1.1", "HTTP/1.11"), changed("HTTP/1.1", "http/1.1"), changed(" HTTP/1.1", ""), changed("HTTP/1.1", "HTTP/1.1 "),
		"\x16\x03\x01", "hello\r\n\r\n", "\x00",
	},
	404: {changed("GET /chat", "GET /"), changed("GET /chat", "GET //chat"), changed("GET /chat", "GET /chat/"),
		changed("GET /chat", "GET http://a"), changed("GET /chat", "GET http://a?/chat"), changed("GET /chat", "GET *"),
		changed("GET /chat", "HEAD /%63hat"), "GET /x HTTP/1.0\r\n\r\n"},
	405: {changed("GET", "POST"), changed("GET", "get"), changed("GET /chat", "OPTIONS *"), changed("GET /chat", "CONNECT a:80"),
		strings.Replace(more("Transfer-Encoding: chunked\r\n"), "GET", "PUT", 1)},
	414: {"GET /" + strings.Repeat("x", DefaultHeaderMax), strings.Repeat("\r\n", DefaultHeaderMax) + request},
	426: {changed("Version: 13", "Version: 8"), changed("Version: 13", "Version: 13, 8"), changed("Version: 13", "Version: x"),
		changed("HTTP/1.1", "HTTP/1.0"), "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /chat HTTP/1.0\r\n\r\n",
		"HEAD /chat HTTP/1.1\r\nHost: a\r\n\r\n", "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"},
	431: {more("A: " + strings.Repeat("x", DefaultHeaderMax) + "\r\n")},
	505: {changed("HTTP/1.1", "HTTP/2.0"), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
}

func TestRequests(t *testing.T) {
	tail := string(masked(ws.OpBinary, true, frameOf("behind")))
	Convey("Requests in all their forms lead to 101, and lose nothing", t, func() {
		for _, in := range accepted {
			for _, cut := range []func(int) int{whole, oneByte, anyPart} {
				rest, answer, err := shaken(in+tail, cut)
				So(answer, ShouldStartWith, "HTTP/1.1 101 ")
				So(err, ShouldBeNil)
				So(rest, ShouldEqual, tail)
				So(answer, ShouldContainSubstring, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
			}
		}
	})
	Convey("Others get one whole answer each", t, func() {
		for status, requests := range refused {
			for _, in := range requests {
				for _, cut := range []func(int) int{whole, oneByte, anyPart} {
					_, answer, err := shaken(in, cut)
					if err == nil || !strings.HasPrefix(answer, "HTTP/1.1 "+strconv.Itoa(status)+" ") {
						t.Fatalf("%.200q got %q, not %d", in, answer, status)
					}
					So(err, ShouldNotBeNil)
					wholeAnswer(t, in, answer, status)
				}
			}
		}
	})
}

// wholeAnswer reads an answer as net/http does, and looks at the fields that belong to
// each status.
func wholeAnswer(t *testing.T, in, answer string, status int) {
	head := strings.HasPrefix(in, "HEAD")
	req := &http.Request{Method: http.MethodGet}
	if head {
		req.Method = http.MethodHead
	}
	rest := bufio.NewReader(strings.NewReader(answer))
	resp, err := http.ReadResponse(rest, req)
	So(err, ShouldBeNil)
	body, err := io.ReadAll(resp.Body)
	So(err, ShouldBeNil)
	So(rest.Buffered(), ShouldEqual, 0)
	So(resp.StatusCode, ShouldEqual, status)
	So(resp.Close, ShouldBeTrue)
	So(resp.Header["Content-Length"], ShouldHaveLength, 1)
	So(resp.Header["Date"], ShouldHaveLength, 1)
	So(len(body) == 0, ShouldEqual, head)
	So(resp.Header.Get("Allow") == "GET, HEAD", ShouldEqual, status == 405)
	So(resp.Header.Get("Upgrade") == "websocket", ShouldEqual, status == 426)
	So(resp.Header.Get("Sec-Websocket-Version") == "13", ShouldEqual, status == 426)
	So(strings.Contains(answer, "\r\nConnection: close, Upgrade\r\n"), ShouldEqual, status == 426)
}

func TestHeaderMax(t *testing.T) {
	Convey("A head of the longest size is taken, and one byte more is not", t, func() {
		for _, most := range []int{1 << 10, DefaultHeaderMax, 64 << 10} {
			to := &Transport{Endpoint: chat.Endpoint, HeaderMax: most}
			filled := more("A: " + strings.Repeat("x", most-len(request)-len("A: \r\n")) + "\r\n")
			So(len(filled), ShouldEqual, most)
			w := &wire{in: []byte(filled), cut: whole}
			_, _, err := upgrade(w, to, false, nil, nil)
			So(err, ShouldBeNil)
			w = &wire{in: []byte(strings.Replace(filled, "A: ", "A: x", 1)), cut: whole}
			_, _, err = upgrade(w, to, false, nil, nil)
			So(err, ShouldNotBeNil)
			So(w.answers.String(), ShouldStartWith, "HTTP/1.1 431 ")
		}
	})
	Convey("The memory for it grows as bytes come", t, func() {
		r := &headReader{conn: &wire{in: []byte(request), cut: whole}, max: 64 << 10}
		_, err := r.next()
		So(err, ShouldBeNil)
		So(cap(r.buf), ShouldEqual, firstHeadBuffer)
	})
}

// strictLine is a line of fields as RFC 9112, 5 has it.
var strictLine = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\\x00-\\x08\\x0a-\\x1f\\x7f]*$")

// FuzzRequest: what is accepted is, to a strict reader and to net/http, the same one
// request for the WebSocket, without a body; what is not gets an answer that is whole.
func FuzzRequest(f *testing.F) {
	for _, in := range accepted {
		f.Add([]byte(in))
	}
	for _, requests := range refused {
		for _, in := range requests {
			f.Add([]byte(in))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 2*DefaultHeaderMax {
			return
		}
		w := &wire{in: bytes.Clone(in), cut: whole}
		_, early, err := upgrade(w, chat, false, nil, nil)
		answer := w.answers.String()
		if err == nil {
			sameToOthers(t, in[:len(in)-len(early)-len(w.in)])
			return
		}
		if answer == "" {
			if err != io.EOF {
				t.Fatalf("%q ended without an answer: %v", in, err)
			}
			return
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
		if err != nil || resp.StatusCode < 400 || !resp.Close {
			t.Fatalf("%q got %q", in, answer)
		}
	})
}

// sameToOthers fails for an accepted head that others could understand differently.
func sameToOthers(t *testing.T, in []byte) {
	text := strings.TrimLeft(string(in), "\r\n")
	lines := strings.Split(text, "\r\n")
	last := len(lines) - 2
	if lines[last] != "" || lines[last+1] != "" {
		t.Fatalf("accepted %q, which has no end", in)
	}
	names := map[string]int{}
	for _, line := range lines[1:last] {
		if !strictLine.MatchString(line) {
			t.Fatalf("accepted %q with the line %q", in, line)
		}
		name, _, _ := strings.Cut(line, ":")
		names[strings.ToLower(name)]++
	}
	for name, most := range map[string]int{"host": 1, "sec-websocket-key": 1, "sec-websocket-version": 1, "transfer-encoding": 0, "content-length": 1} {
		if names[name] > most || most == 1 && name != "content-length" && names[name] == 0 {
			t.Fatalf("accepted %q with %d of %s", in, names[name], name)
		}
	}
	rest := bufio.NewReader(strings.NewReader(text))
	r, err := http.ReadRequest(rest)
	switch {
	case err != nil:
		t.Fatalf("accepted %q, which net/http does not: %v", in, err)
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) || r.URL.Path != "/chat" || r.ContentLength != 0 || r.TransferEncoding != nil:
		t.Fatalf("accepted %q, which is to net/http %+v", in, r)
	case rest.Buffered() != 0:
		t.Fatalf("accepted %q, and net/http leaves %d bytes of it", in, rest.Buffered())
	}
}
