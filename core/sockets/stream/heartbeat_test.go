// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/engine"
)

func TestHeartbeat(t *testing.T) {
	const timeout = time.Second // many answers of a busy machine
	for _, transport := range []string{"ws", "wss"} {
		Convey("Over "+transport+" a peer that answers pings stays, one that does not is ended", t, func() {
			id := newIdentity(t, "server")
			server, client := newSocket(t, newContext(t)), newSocket(t, newContext(t))
			id.use(t, server, client)
			must(t, server.Set(WithHeartbeat(timeout/5, timeout)), "settings")
			ends, err := server.Monitor(engine.EventDisconnected)
			must(t, err, "Monitor")
			defer func() { _ = ends.Close() }()
			must(t, server.Bind(transport+"://127.0.0.1:*"), "Bind")
			must(t, client.Connect(server.Addr()), "Connect")
			toClient, toServer := want(t, server, connected), want(t, client, connected)

			// It comes later than the other peer, so that one's time is over before.
			silent := plain(t, server.Addr())
			if transport == "wss" {
				silent = tls.Client(silent, &tls.Config{InsecureSkipVerify: true})
			}
			_, err = io.WriteString(silent, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
			must(t, err, "the request")
			peer := want(t, server, connected)
			said, err := io.ReadAll(silent)
			must(t, err, "read to the end")
			_, frames, _ := bytes.Cut(said, []byte("\r\n\r\n"))
			So(string(frames[:2]), ShouldEqual, "\x89\x00")                          // a ping
			So(string(frames), ShouldEndWith, "\x88\x15\x03\xf3no answer to a ping") // closed with 1011
			So(want(t, server, disconnected), ShouldEqual, peer)
			event, err := ends.Recv(false)
			must(t, err, "an event")
			So(event.Value, ShouldEqual, engine.ReasonTransport)
			mustSend(t, server, toClient, "still there")
			So(want(t, client, "still there"), ShouldEqual, toServer)
		})
	}
}
