// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"slices"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/shm"
)

// maxOver is the number of endpoints of ended dialers that a socket remembers.
const maxOver = 1000

// dialing is a dialer of the socket.
type dialing struct {
	*engine.Dialer
	text  string
	alias string
}

// aliasUse is the holder of a name: the dialer whose first peer will get it, or that
// peer's connection.
type aliasUse struct {
	dialer  *engine.Dialer
	session *shm.Session
}

// addDialer counts a dialer as a part that Close or Drain ends, unless the socket takes none.
func (k *Socket) addDialer(d *dialing) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.takesEndpoints(); err != nil {
		delete(k.aliases, d.alias)
		return err
	}
	k.parts++
	d.Index = int32(len(k.dialers))
	k.dialers = append(k.dialers, d)
	return nil
}

// forget removes a dialer from the list, and frees its name if no peer has got it.
// mu is held.
func (k *Socket) forget(d *dialing) {
	last := len(k.dialers) - 1
	k.dialers[d.Index] = k.dialers[last]
	k.dialers[d.Index].Index = d.Index
	k.dialers[last] = nil
	k.dialers = k.dialers[:last]
	if k.aliases[d.alias].dialer == d.Dialer {
		delete(k.aliases, d.alias)
	}
}

// ended forgets a dialer that makes no more connections. It remembers the endpoint,
// because disconnecting it is not an error. mu is held.
func (k *Socket) ended(dialer *engine.Dialer) {
	at := int(dialer.Index)
	if at >= len(k.dialers) || k.dialers[at].Dialer != dialer {
		return // disconnected, or the socket is closed
	}
	d := k.dialers[at]
	k.forget(d)
	if slices.Contains(k.over, d.text) {
		return
	}
	if len(k.over) == maxOver {
		k.over = slices.Delete(k.over, 0, 1)
	}
	k.over = append(k.over, d.text)
}

// forgetOver reports whether the dialer of an endpoint has ended, and forgets the
// endpoint. mu is held.
func (k *Socket) forgetOver(text string) bool {
	at := slices.Index(k.over, text)
	if at >= 0 {
		k.over = slices.Delete(k.over, at, at+1)
	}
	return at >= 0
}
