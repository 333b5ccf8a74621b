// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"bytes"
	"time"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// Peer describes a connected peer.
type Peer struct {
	RoutingID []byte // 4 bytes, big endian, or its name (WithPeerName)
	Remote    string // endpoint
	Connected time.Time
	Sent      uint64 // messages accepted for it
	Received  uint64 // messages that it sent, read by the application or not
}

func peerOf(c *engine.Conn) Peer {
	traffic := c.Traffic()
	return Peer{RoutingID: append([]byte(nil), c.Shared.IDFrame()...), Remote: c.Remote(),
		Connected: c.Since(), Sent: traffic.MsgsOut, Received: traffic.MsgsIn}
}

// PeerCount returns the number of peers. A connection that closes once its queue is sent
// counts until then, here and in the methods below.
func (k *Socket) PeerCount() (int, error) {
	if err := k.enter(); err != nil {
		return 0, err
	}
	defer k.leave()
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.conns), nil
}

// Peers returns up to limit connected peers (negative: all), in no special order. The order
// is stable as long as no peer comes or goes. The list shows one moment, without peers that
// left while it was made.
func (k *Socket) Peers(limit int) ([]Peer, error) {
	if err := k.enter(); err != nil {
		return nil, err
	}
	defer k.leave()
	var peers []Peer
	k.walk(limit, func(int) {}, func(c *engine.Conn) bool {
		peers = append(peers, peerOf(c))
		return true
	}, func(final) {})
	return peers, nil
}

// Peer returns the peer with a routing id: the 4 bytes of Message.Peer, big endian, or the
// peer's name. EHOSTUNREACH: no peer has it.
func (k *Socket) Peer(id []byte) (Peer, error) {
	if err := k.enter(); err != nil {
		return Peer{}, err
	}
	defer k.leave()
	if len(id) == 0 || len(id) > shm.MaxID {
		return Peer{}, errno.New(errno.EINVAL, "a routing id has 1 to %d bytes, not %d", shm.MaxID, len(id))
	}
	var found Peer
	k.walk(-1, func(int) {}, func(c *engine.Conn) bool {
		if bytes.Equal(c.Shared.IDFrame(), id) {
			found = peerOf(c)
			return !c.Connected() // the name may be in use again
		}
		return true
	}, func(final) {})
	if found.RoutingID != nil {
		return found, nil
	}
	return Peer{}, errno.New(errno.EHOSTUNREACH, "no peer has the routing id %x", id)
}
