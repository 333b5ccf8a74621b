// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/zlink/zlink/core/engine"
)

// A way is where a message goes.
type way int

const (
	wayIn    way = iota // from a client to NATS
	wayOut              // from NATS to a client
	wayGroup            // from NATS to a group
	wayEvent            // an event to NATS
	ways
)

var wayNames = [ways]string{"in", "out", "group", "event"}

// A reason is why a message was dropped.
type reason int

const (
	reasonMalformed reason = iota
	reasonUnknown
	reasonUnauthenticated
	reasonOversized
	reasonFull
	reasonDraining
	reasonMemory
	reasonNoBackend
	reasonSlow
	reasonAuth
	reasonNATS
	reasons
)

var reasonTable = [reasons]struct {
	name   string
	status int
}{
	reasonMalformed:       {"malformed", 400},
	reasonUnknown:         {"unknown_peer", 404},
	reasonUnauthenticated: {"unauthenticated", 409},
	reasonOversized:       {"oversized", 413},
	reasonFull:            {"queue_full", 429},
	reasonDraining:        {"draining", 503},
	reasonMemory:          {"no_memory", 507},
	reasonNoBackend:       {"no_backend", 0},
	reasonSlow:            {"gateway_slow", 429},
	reasonAuth:            {"auth", 0},
	reasonNATS:            {"nats_refused", 0},
}

func (r reason) status() int { return reasonTable[r].status }

// counts are what has happened since the start.
type counts struct {
	inMessages, inBytes     atomic.Uint64
	outMessages, outBytes   atomic.Uint64
	sentMessages, sentBytes atomic.Uint64
	groupMessages           atomic.Uint64
	deliveries, undelivered atomic.Uint64
	dropped                 [ways][reasons]atomic.Uint64
	inDoubt                 atomic.Uint64
	connects                atomic.Uint64
	disconnects             [engine.Causes]atomic.Uint64
	auth                    [verdicts]atomic.Uint64
	presenceErrors          atomic.Uint64
	presenceCleared         atomic.Uint64
	natsLost                [losses]atomic.Uint64
	unanswered              atomic.Uint64
	control                 labelled
}

// labelled counts by two labels.
type labelled struct {
	mu  sync.Mutex
	all map[[2]string]uint64
}

func (l *labelled) add(first, second string) {
	l.mu.Lock()
	if l.all == nil {
		l.all = map[[2]string]uint64{}
	}
	l.all[[2]string{first, second}]++
	l.mu.Unlock()
}
