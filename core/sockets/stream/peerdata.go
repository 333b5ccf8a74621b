// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/shm"
)

// SetPeerData gives data for a peer, instead of what was given before. From then on all messages
// of the peer have it (Message.PeerData), also those that were received before, up to the one that
// says that the peer has gone. It works in both modes, on any goroutine. EINVAL: peer is 0, or the
// socket was bound or connected without WithPeerData. EHOSTUNREACH: the peer does not exist, or its
// connection is over, although its Disconnected message may still wait.
func (k *Socket) SetPeerData(peer uint32, data any) error {
	return k.withData(peer, func(s *shm.Session) bool {
		box := s.Box()
		if box != nil {
			box.Set(data)
		}
		return box != nil
	})
}

// PeerData returns what SetPeerData has given for a peer, or nil. Its errors are those of
// SetPeerData.
func (k *Socket) PeerData(peer uint32) (data any, err error) {
	err = k.withData(peer, func(s *shm.Session) bool {
		box := s.Box()
		data = box.Value()
		return box != nil
	})
	return data, err
}

// PeerData returns what SetPeerData has given last for the peer of a received message, or nil. It
// also does so when the peer and the socket have gone, and after Release.
func (m *Message) PeerData() any { return m.box.Value() }

// GiveData is SetPeerData for C, whose function frees the data: when other data is given, or once
// the peer has gone and its messages are closed. After an error the data stays the caller's.
func (c *forC) GiveData(peer uint32, g shm.Given) error {
	var freeLast func()
	err := (*Socket)(c).withData(peer, func(s *shm.Session) bool {
		freeLast = s.GiveData(g)
		return freeLast != nil
	})
	if err == nil {
		freeLast() // without locks
	}
	return err
}

// withData calls use, under mu, with the session of a peer that takes data. use reports whether the
// peer's disconnect event is still to be received.
func (k *Socket) withData(peer uint32, use func(*shm.Session) bool) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	if peer == 0 {
		return errno.New(errno.EINVAL, "0 is no routing id")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.keptSession(peer)
	switch {
	case s == nil:
		return errno.New(errno.EHOSTUNREACH, "no peer has the routing id %d", peer)
	case !s.TakesData():
		return errno.New(errno.EINVAL, "STREAM_PEER_DATA was not 1 when the peer's endpoint was bound or connected")
	}
	if !use(s) {
		return errno.New(errno.EHOSTUNREACH, "the disconnect event of the peer %d has been received", peer)
	}
	return nil
}

// endAllData ends the data of all connections of a closed socket: nobody receives their disconnect
// events. What is queued may keep them for as long as LINGER.
func (k *Socket) endAllData() {
	var frees []func()
	k.mu.Lock()
	for _, c := range k.conns {
		if c.Shared.TakesData() {
			frees = append(frees, c.Shared.EndData())
		}
	}
	k.mu.Unlock()
	for _, free := range frees {
		free() // without locks
	}
}
