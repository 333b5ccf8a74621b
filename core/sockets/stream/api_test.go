// SPDX-License-Identifier: MPL-2.0

package stream_test

import (
	"reflect"
	"strings"
	"testing"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/sockets/stream"
)

// methods are those of a socket that an application may call: what go doc shows of it.
const methods = `AbortPeer AcceptPeer AcceptPeerWith Addr Bind Close ClosePeer ClosePeerWith Connect Disconnect Drain ForC ForPoll Handover HandoverTo
Join Leave Messages Monitor Multicast Option Peer PeerCount PeerData PeerProperty Peers Publish Recv RecvBatch RecvFrame RefusePeer Send SendBatch SendFrame
SendKey SendOwned SendText Set SetOption SetPeerData Shutdown Stats Takeover TakeoverFrom TryRecv TryRecvBatch TrySend TrySendBatch TrySendText
Unbind`

// TestMethods: what the engine and the C layer ask of a socket is no part of its API.
func TestMethods(t *testing.T) {
	Convey("A socket has the methods of an application, and a door each for C and for Poll", t, func() {
		var have []string
		for socket, i := reflect.TypeFor[*stream.Socket](), 0; i < socket.NumMethod(); i++ {
			have = append(have, socket.Method(i).Name)
		}
		So(have, ShouldResemble, strings.Fields(methods))
	})
}
