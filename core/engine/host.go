// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"runtime"
	"unsafe"

	"github.com/zlink/zlink/core/shm"
	"github.com/zlink/zlink/core/wait"
)

// Host is the process that the engine runs in. A Go program leaves it unchanged. The C
// library sets its own with SetHost.
type Host struct {
	// Signals makes waits end with EINTR when a signal handler ran; see
	// wait.ReportSignals.
	Signals bool
	// Reserve raises the number of processors of Go's scheduler to procs, and makes sure that
	// the process can have that many more threads. An error means that it cannot.
	Reserve func(procs, threads int) error
	// Compact, if set, returns unneeded memory of the process to the system. It runs on a
	// goroutine. A library must not do that to a Go program.
	Compact func()
	// Frugal, if set, makes Go collect garbage more often, or as often as usual again. A crowd of
	// handshakes leaves several times as much garbage as what is kept of it.
	Frugal func(on bool)
	// ReleaseOwner gets the owner when the kernel has the bytes behind Chunk.Ext, or when
	// they are dropped.
	ReleaseOwner func(owner unsafe.Pointer)
	// FreePeerData, if set, frees what the application has given for a peer.
	FreePeerData func(shm.Given)
}

// host is that of a Go program until SetHost. Go's runtime then takes the threads it
// needs, and OwnBody owns bodies that are sent from their own place.
var (
	host    = Host{Reserve: raiseProcs, ReleaseOwner: releaseBody}
	hostSet bool
)

// SetHost sets the host. Call it once, before any context exists.
func SetHost(h Host) {
	if hostSet {
		panic("engine: the host was set before")
	}
	host, hostSet = h, true
	wait.ReportSignals = h.Signals
	shm.FreePeerData = h.FreePeerData
}

// Reserve calls the host's Reserve.
func Reserve(procs, threads int) error { return host.Reserve(procs, threads) }

// ReleaseOwner calls the host's ReleaseOwner, for a body that no queue has.
func ReleaseOwner(owner unsafe.Pointer) { host.ReleaseOwner(owner) }

func raiseProcs(procs, _ int) error {
	if runtime.GOMAXPROCS(0) < procs {
		runtime.GOMAXPROCS(procs)
	}
	return nil
}
