// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
)

// AcceptPeer takes somebody who asks (Asking) as a peer: Connected follows, with the same id, or
// Disconnected if the connection ends before that. Any goroutine may call it; of several decisions the first
// counts. EINVAL: peer is 0. EFSM: it has been decided. EHOSTUNREACH: nobody with that id asks.
func (k *Socket) AcceptPeer(peer uint32) error { return k.decide(peer, engine.Decision{}) }

// AcceptPeerWith is AcceptPeer of somebody who requests a WebSocket, and chooses the subprotocol of the answer:
// one of those that the request offers ("WS-Header:Sec-WebSocket-Protocol" of the Asking message has them), or "" for none.
// It need not be one of STREAM_WS_PROTOCOLS. The errors are those of AcceptPeer; EINVAL also: the
// request does not offer it, or who asks does not request a WebSocket. Nothing is decided then.
func (k *Socket) AcceptPeerWith(peer uint32, protocol string) error {
	return k.decide(peer, engine.Decision{Chosen: true, Protocol: protocol})
}

// RefusePeer turns somebody who asks away. A request for a WebSocket is answered with the status, 400 to
// 599, and the text of at most 256 bytes, which has no control characters; other transports just close. 0
// stands for 403. Disconnected follows, with engine.CauseRefused. The errors are those of AcceptPeer; EINVAL also:
// the status or the text cannot be sent.
func (k *Socket) RefusePeer(peer uint32, status int, text string) error {
	if status == 0 {
		status = 403
	}
	if err := engine.CheckRefusal(status, text); err != nil {
		return err
	}
	if text == "" {
		text = "the server refused the request"
	}
	return k.decide(peer, engine.Decision{Why: engine.CauseRefused, Status: status, Text: text})
}

func (k *Socket) decide(peer uint32, d engine.Decision) error {
	if err := k.enter(); err != nil {
		return err
	}
	defer k.leave()
	if peer == 0 {
		return errno.New(errno.EINVAL, "0 is no routing id")
	}
	a, err := k.takeAsker(peer, d)
	if err == nil {
		a.Decide(d)
	}
	return err
}

// addAsker gives somebody who asks a routing id.
func (k *Socket) addAsker(a *engine.Asker) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed.Load() {
		return errno.ENOTSOCK
	}
	if err := k.growTable(); err != nil {
		return err
	}
	rid, s := k.takeID(), a.Session
	if rid == 0 {
		return errNoID
	}
	s.SetID(rid, nil)
	s.Rid.Store(rid)
	k.table().Slot(rid).Store(s)
	k.reserved++
	if k.asking == nil {
		k.asking = map[uint32]*asker{}
	}
	k.asking[rid] = &asker{Asker: a}
	return nil
}

// asker is somebody who asks; decided: somebody was the first to decide.
type asker struct {
	*engine.Asker
	decided bool
}

// takeAsker returns somebody who asks, and for whom the decision is possible, to the first caller only, who
// decides.
func (k *Socket) takeAsker(peer uint32, d engine.Decision) (*engine.Asker, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.asking[peer]
	if a != nil && !a.decided && d.Chosen {
		if err := a.MayHave(d.Protocol); err != nil {
			return nil, err
		}
	}
	switch {
	case a != nil && !a.decided:
		a.decided = true
		return a.Asker, nil
	case k.keptSession(peer) != nil:
		return nil, errno.New(errno.EFSM, "it has been decided about the peer %d, or it never asked", peer)
	}
	return nil, errno.New(errno.EHOSTUNREACH, "nobody with the routing id %d asks", peer)
}

// forgetAsker gives the place of somebody who asked back, if no peer has it.
func (k *Socket) forgetAsker(a *engine.Asker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	rid := a.Session.Rid4()
	delete(k.asking, rid)
	if k.table().Slot(rid).CompareAndSwap(a.Session, nil) { // else the id is, or was, the peer's
		k.putID(rid)
	}
	k.reserved--
}
