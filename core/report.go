// SPDX-License-Identifier: MPL-2.0

package core

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/zlink/zlink/core/admin"
	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/sys"
)

// Reporter is a socket that tells of itself: its state, and up to admin.MaxPeers peers with the
// longest queues. ok is false if nothing of the socket is left. Any thread.
type Reporter interface {
	Report() (state admin.Socket, slowest []admin.Peer, ok bool)
}

// begun is where the clock of reports begins.
var begun = time.Now()

// SetAdmin lets local readers ask for the statistics of the context's sockets (core/admin, doc/operate.md):
// it listens on a local socket, whose file only the owner of the process may open. An
// empty path ends that; another one replaces it. Term ends it, too. EADDRINUSE: somebody
// listens there, or the file is of another kind. ETERM: the context is shut down.
func (c *Context) SetAdmin(path string) error {
	c.admin.Lock()
	defer c.admin.Unlock()
	if path != "" {
		if err := c.State(); err != nil {
			return err
		}
	}
	c.endAdmin()
	if path == "" {
		return nil
	}
	// A report must not take the processor of an io thread's scheduler, or a caller's.
	if err := engine.Reserve(c.mostThreads()+3, 1); err != nil {
		return err
	}
	fd, remove, err := engine.ListenPrivate(path)
	if err != nil {
		return err
	}
	server, err := admin.Serve(fd, c.report)
	if err != nil {
		remove()
		return err
	}
	c.admin.end = func() {
		remove()
		server.Close()
	}
	return nil
}

// endAdmin ends the server. c.admin is locked.
func (c *Context) endAdmin() {
	if c.admin.end != nil {
		c.admin.end()
		c.admin.end = nil
	}
}

func (c *Context) mostThreads() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.threads()
}

// report makes the answer to a reader.
func (c *Context) report() admin.Report {
	r := admin.Report{PID: sys.ProcessID(), Program: program(), Time: time.Now().UnixMilli(),
		Monotonic: time.Since(begun).Nanoseconds(), Memory: engine.MemoryReport()}
	all := c.reportOwn(&r)
	for _, s := range all[:min(len(all), admin.MaxSockets)] {
		state, slowest, ok := s.Report()
		if !ok {
			continue
		}
		state.ID = s.id
		r.Sockets = append(r.Sockets, state)
		for i := range slowest {
			slowest[i].Socket = s.id
		}
		r.Slowest = append(r.Slowest, slowest...)
	}
	r.Missing = max(0, len(all)-admin.MaxSockets)
	slices.SortStableFunc(r.Slowest, func(a, b admin.Peer) int { return cmp.Compare(b.BytesQueued, a.BytesQueued) })
	r.Slowest = r.Slowest[:min(len(r.Slowest), admin.MaxPeers)]
	return r
}

type numbered struct {
	Reporter
	id uint64
}

// reportOwn reports what the context knows itself, and returns the sockets, oldest first.
func (c *Context) reportOwn(r *admin.Report) (all []numbered) {
	r.Drivers, r.Sockets, r.Slowest = []admin.Driver{}, []admin.Socket{}, []admin.Peer{} // in JSON: [], not null
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Closing = c.lingering
	for i, sh := range c.shards {
		if sh != nil {
			d := sh.Report()
			d.Number = i
			r.Drivers = append(r.Drivers, d)
		}
	}
	for s, id := range c.sockets {
		if s, ok := s.(Reporter); ok {
			all = append(all, numbered{s, id})
		}
	}
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.id, b.id) })
	return all
}

// program returns the name of the process, as the system has it.
func program() string {
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(name)), "?")
}
