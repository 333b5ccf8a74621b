// SPDX-License-Identifier: MPL-2.0

// Package check has assertions: what must hold whatever callers, peers and the system
// do. They are compiled in with the race detector, with AddressSanitizer and with the
// tag zlink_check, and in no other build: a release has no trace of them.
//
// An assertion that does not hold ends the process with a sentence. It may only read what
// the caller can see at that moment: its own data, data behind a lock that it holds, or a
// count that only this thread lowers. On is a constant, so that an assertion leaves nothing
// in other builds. It does not even count when the compiler decides what to inline:
//
//	if check.On {
//		check.That(refs >= 0, "a slab is released no more often than it is retained")
//	}
//
// The sentence says what holds. capi/internal.h has ZL_CHECK for the C half.
//
// It also keeps the last transitions of each shard, for tests that wait in vain; see Note.
package check
