// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/endpoint"
)

// server answers the request that it gets; KEY in its answer is the right one.
type server struct {
	answer string
	cut    func(int) int
	asked  bytes.Buffer
	wire   *wire
}

func (s *server) Write(p []byte) (int, error) { return s.asked.Write(p) }

func (s *server) Read(p []byte) (int, error) {
	if s.wire == nil {
		_, key, _ := strings.Cut(s.asked.String(), "Sec-WebSocket-Key: ")
		key, _, _ = strings.Cut(key, "\r\n")
		s.wire = &wire{in: []byte(strings.ReplaceAll(s.answer, "KEY", keyAnswer(key))), cut: s.cut}
	}
	return s.wire.Read(p)
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n\r\n"

func answered(from, to string) string { return strings.Replace(switching, from, to, 1) }

func TestAnswers(t *testing.T) {
	Convey("An answer in any of its forms is taken, and what is behind it kept", t, func() {
		for _, answer := range []string{
			switching,
			"\r\n" + switching,
			"HTTP/1.1 100 Continue\r\n\r\n" + switching,
			"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + switching,
			answered("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
			answered("Connection: Upgrade", "Connection: keep-alive\r\nconnection: UPGRADE"),
			answered("Upgrade: websocket", "UPGRADE:WebSocket"),
			answered("Upgrade: websocket", "Upgrade: ,\r\nUpgrade: websocket,"),
			answered("Upgrade: websocket", "Upgrade:\r\n\twebsocket"),
			answered("\r\nUpgrade", "\r\nX: y\r\n z\r\nUpgrade"),
			answered(" Switching Protocols", ""),
			answered(" Switching Protocols", " "),
			answered("\r\n\r\n", "\r\nSec-WebSocket-Extensions:\r\nSec-WebSocket-Protocol: \r\n\r\n"),
		} {
			for _, cut := range []func(int) int{whole, oneByte, anyPart} {
				s := &server{answer: answer + "behind", cut: cut}
				_, early, err := upgrade(s, chat, true, nil, nil)
				So(err, ShouldBeNil)
				So(string(early)+string(s.wire.in), ShouldEqual, "behind")
			}
		}
	})
	Convey("Another is not", t, func() {
		for _, answer := range []string{
			answered("HTTP/1.1", "HTTP/1.0"), answered("HTTP/1.1", "HTTP/2.0"), answered("HTTP/1.1 101", "HTTP/1.1 0101"),
			answered("Upgrade: websocket\r\n", ""), answered("Upgrade: websocket", "Upgrade: h2c"),
			answered("Upgrade: websocket", "Upgrade: websocket, h2c"), answered("Connection: Upgrade\r\n", ""),
			answered("Connection: Upgrade", "Connection: close"), answered("KEY", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
			answered("\r\n\r\n", "\r\nSec-WebSocket-Accept: KEY\r\n\r\n"), answered("Sec-WebSocket-Accept: KEY\r\n", ""),
			answered("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
			answered("\r\n\r\n", "\r\nSec-WebSocket-Protocol: x\r\n\r\n"),
			answered("\r\nUpgrade", "\r\n Upgrade"), answered("Upgrade:", "Upgrade :"), answered("KEY", "KEY\x00"),
			strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000) + switching, "SSH-2.0-OpenSSH_9\r\n", "nonsense\r\n\r\n",
		} {
			s := &server{answer: answer, cut: whole}
			_, _, err := upgrade(s, chat, true, nil, nil)
			var web *webError
			if answer == "SSH-2.0-OpenSSH_9\r\n" {
				So(err, ShouldEqual, io.EOF)
				continue
			}
			So(errors.As(err, &web), ShouldBeTrue)
			So(web.status, ShouldEqual, 0)
		}
	})
	Convey("The status of a refusal is told, in words and in the monitor's value", t, func() {
		for status, line := range map[int]string{401: "HTTP/1.1 401 Unauthorized", 302: "HTTP/1.0 302 Found", 200: "HTTP/1.1 200 OK",
			503: "HTTP/1.1 503"} {
			_, _, err := upgrade(&server{answer: line + "\r\nContent-Length: 0\r\n\r\n", cut: anyPart}, chat, true, nil, nil)
			kind, value := failureOf(err)
			So(kind, ShouldEqual, EventHandshakeProtocol)
			So(value, ShouldEqual, ProtocolWeb+status)
			So(err.Error(), ShouldEndWith, strings.TrimSpace(line[9:]))
		}
	})
}

func TestHostField(t *testing.T) {
	Convey("Host names the port unless it is the transport's own, and no zone", t, func() {
		for want, ep := range map[string]endpoint.Endpoint{
			"a":            {Scheme: endpoint.WS, Host: "a", Port: 80},
			"a:443":        {Scheme: endpoint.WS, Host: "a", Port: 443},
			"b":            {Scheme: endpoint.WSS, Host: "b", Port: 443},
			"b:80":         {Scheme: endpoint.WSS, Host: "b", Port: 80},
			"[::1]":        {Scheme: endpoint.WS, Host: "::1", Port: 80},
			"[fe80::1]:81": {Scheme: endpoint.WS, Host: "fe80::1%eth0", Port: 81},
		} {
			So(hostField(ep), ShouldEqual, want)
		}
	})
}
