// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"runtime"
	"unsafe"

	"github.com/zlink/zlink/core/wait"
)

// Host is the process that the engine runs in. A Go program leaves it as it is; the C
// library sets its own with SetHost.
type Host struct {
	// Signals makes waits end with EINTR when a signal handler ran; see
	// wait.ReportSignals.
	Signals bool
	// Reserve raises the number of processors of Go's scheduler to procs, and sees to it
	// that the process can have that many threads more; an error says that it cannot.
	Reserve func(procs, threads int) error
	// Compact, if it is set, gives back what the process has and does not need. It is
	// called on a goroutine. A library must not do that to a Go program.
	Compact func()
	// ReleaseOwner is told when the kernel has the bytes behind Chunk.Ext, or they
	// are dropped.
	ReleaseOwner func(owner unsafe.Pointer)
}

// host is that of a Go program until SetHost: its runtime takes what threads it needs,
// and bodies that are sent from where they are belong to OwnBody.
var (
	host    = Host{Reserve: raiseProcs, ReleaseOwner: releaseBody}
	hostSet bool
)

// SetHost sets the host, once, before there is a context.
func SetHost(h Host) {
	if hostSet {
		panic("engine: the host was set before")
	}
	host, hostSet = h, true
	wait.ReportSignals = h.Signals
}

// Reserve is the host's.
func Reserve(procs, threads int) error { return host.Reserve(procs, threads) }

func raiseProcs(procs, _ int) error {
	if runtime.GOMAXPROCS(0) < procs {
		runtime.GOMAXPROCS(procs)
	}
	return nil
}
