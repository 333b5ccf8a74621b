// SPDX-License-Identifier: MPL-2.0

package shm

// The groups that a session is in are a chain, whose first link lies in Up.Msgs: neither of the
// events in Up uses that otherwise. The lock of the socket's groups guards it.

// Groups returns the first link of the chain; 0: the session is in no group.
func (s *Session) Groups() uint32 { return s.Up.Msgs }

// SetGroups sets the first link.
func (s *Session) SetGroups(first uint32) { s.Up.Msgs = first }
