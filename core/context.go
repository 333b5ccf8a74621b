// SPDX-License-Identifier: MPL-2.0

// Package core is the context: io threads, limits, and the life of sockets
// from their creation to the end of their linger. It knows what every socket must
// do, but no socket type.
package core

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/wait"
)

// Context options (ZLINK_IO_THREADS …).
const (
	OptIOThreads            = 1
	OptMaxSockets           = 2
	OptSocketLimit          = 3 // for reading; the same number is OptThreadPriority for writing
	OptThreadPriority       = 3
	OptThreadSchedPolicy    = 4
	OptMaxMsgSize           = 5
	OptMsgSize              = 6
	OptThreadAffinityAdd    = 7
	OptThreadAffinityRemove = 8
	OptThreadNamePrefix     = 9
	OptIPv6                 = 42
	OptBlocky               = 70
)

const (
	socketLimit    = 65535 // the highest value of MAX_SOCKETS
	msgSize        = 64    // sizeof (zlink_msg_t)
	ioThreadsDflt  = 2
	maxSocketsDflt = 1023
	maxIOThreads   = 64   // AFFINITY has a bit for each
	maxCPUs        = 1024 // the highest number in the kernel's set of processors
)

// testThreads is for builds that test the library ("-X …/core.testThreads=4"). It sets the
// number of io threads of a context whose IO_THREADS was not set. It also makes every
// context spread connections over all its threads, however few processors there are.
var testThreads string

// Socket is what the context needs from a socket.
type Socket interface {
	// Terminate makes every blocked and later call fail with ETERM.
	Terminate()
}

// Context owns the io threads and knows the sockets. All methods may be called
// from any thread.
type Context struct {
	mu         sync.Mutex
	ioThreads  int
	threadsSet bool // ioThreads is not the default
	maxSockets int
	maxMsgSize int
	blocky     bool
	ipv6       bool
	namePrefix int // -1: none
	policy     int // of the io threads; -1: that of the process
	priority   int
	cpus       []int

	shards     []*engine.Shard   // made on first use; nil until then
	sockets    map[Socket]uint64 // with their numbers
	newest     uint64            // the number of the newest socket
	monitors   map[Socket]struct{}
	lingering  int // closed sockets whose linger is not over
	terminated bool
	idle       wait.List // Term waits until no socket is left

	// admin serves statistics (report.go). It is locked before mu, which reports need.
	admin struct {
		sync.Mutex
		end func() // nil: it does not
	}
}

// NewContext returns a context with the default options. Its io threads start
// with the first endpoint.
func NewContext() *Context {
	return &Context{ioThreads: ioThreadsDflt, maxSockets: maxSocketsDflt, maxMsgSize: math.MaxInt32,
		blocky: true, namePrefix: -1, policy: -1, priority: -1,
		sockets: map[Socket]uint64{}, monitors: map[Socket]struct{}{}}
}

// Default returns the context of sockets that have no other one. It has the default
// options, but the highest limit of sockets. The first call creates it, and it lasts as
// long as the process.
var Default = sync.OnceValue(func() *Context {
	c := NewContext()
	c.maxSockets = socketLimit
	return c
})

// Set sets an option. EINVAL: unknown option or bad value.
func (c *Context) Set(option, value int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	bad := errno.New(errno.EINVAL, "context option %d does not take the value %d", option, value)
	switch option {
	case OptIOThreads:
		if value < 0 || c.shards != nil {
			return bad
		}
		c.ioThreads, c.threadsSet = value, true
	case OptMaxSockets:
		if value < 1 {
			return bad
		}
		c.maxSockets = min(value, socketLimit)
	case OptMaxMsgSize:
		if value < 0 {
			return bad
		}
		c.maxMsgSize = value
	case OptBlocky, OptIPv6:
		if value != 0 && value != 1 {
			return bad
		}
		if option == OptBlocky {
			c.blocky = value == 1
		} else {
			c.ipv6 = value == 1
		}
	case OptThreadPriority, OptThreadSchedPolicy, OptThreadAffinityAdd, OptThreadAffinityRemove, OptThreadNamePrefix:
		if value < 0 || !c.setThread(option, value) {
			return bad
		}
	default:
		return errno.New(errno.EINVAL, "unknown context option %d", option)
	}
	return nil
}

// setThread sets an option of io threads that start later.
func (c *Context) setThread(option, value int) bool {
	switch option {
	case OptThreadPriority:
		c.priority = value
	case OptThreadSchedPolicy:
		c.policy = value
	case OptThreadNamePrefix:
		c.namePrefix = value
	case OptThreadAffinityAdd:
		if value >= maxCPUs {
			return false
		}
		if !slices.Contains(c.cpus, value) {
			c.cpus = append(c.cpus, value)
		}
	case OptThreadAffinityRemove:
		at := slices.Index(c.cpus, value)
		if at < 0 {
			return false
		}
		c.cpus = slices.Delete(c.cpus, at, at+1)
	}
	return true
}

// Get reads an option. EINVAL: unknown option.
func (c *Context) Get(option int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	flag := map[bool]int{true: 1}
	switch option {
	case OptIOThreads:
		return c.ioThreads, nil
	case OptMaxSockets:
		return c.maxSockets, nil
	case OptSocketLimit:
		return socketLimit, nil
	case OptMaxMsgSize:
		return c.maxMsgSize, nil
	case OptMsgSize:
		return msgSize, nil
	case OptThreadSchedPolicy:
		return c.policy, nil
	case OptThreadNamePrefix:
		return c.namePrefix, nil
	case OptBlocky:
		return flag[c.blocky], nil
	case OptIPv6:
		return flag[c.ipv6], nil
	}
	return 0, errno.New(errno.EINVAL, "unknown context option %d", option)
}

// Add registers a new socket. EMFILE: MAX_SOCKETS are open. ETERM: the context is shut down.
func (c *Context) Add(s Socket) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.terminated {
		return errno.ETERM
	}
	if len(c.sockets) >= c.maxSockets {
		return errno.New(errno.EMFILE, "the context has its %d sockets (MAX_SOCKETS)", c.maxSockets)
	}
	c.newest++
	c.sockets[s] = c.newest
	return nil
}

// State returns ETERM once the context is shut down.
func (c *Context) State() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.terminated {
		return errno.ETERM
	}
	return nil
}

// AddMonitor lets Shutdown also terminate m, even if its socket is closed by then. Neither
// MAX_SOCKETS nor Term counts monitors. ETERM: the context is shut down.
func (c *Context) AddMonitor(m Socket) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.terminated {
		return errno.ETERM
	}
	c.monitors[m] = struct{}{}
	return nil
}

// RemoveMonitor forgets a monitor.
func (c *Context) RemoveMonitor(m Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.monitors, m)
}

// Closed records that a socket was closed. Done follows when its linger is over.
func (c *Context) Closed(s Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sockets, s)
	c.lingering++
}

// Done records that a closed socket is gone completely.
func (c *Context) Done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lingering--
	c.idle.Signal()
}

// Shutdown makes every blocked and later call on the sockets and monitors fail
// with ETERM.
func (c *Context) Shutdown() {
	c.mu.Lock()
	c.terminated = true
	all := slices.AppendSeq(slices.Collect(maps.Keys(c.sockets)), maps.Keys(c.monitors))
	c.mu.Unlock()
	for _, s := range all {
		s.Terminate()
	}
}

// Term shuts the context down, waits until all sockets are closed and their linger is
// over, and stops the io threads. EINTR: a signal handler ran; call again.
func (c *Context) Term() error {
	c.Shutdown()
	w := wait.New()
	c.idle.Add(w)
	defer c.idle.Remove(w)
	for !c.empty() {
		if err := w.Wait(time.Time{}); err != nil {
			return err
		}
		w.Reset()
	}
	_ = c.SetAdmin("") // reports read the shards
	c.mu.Lock()
	shards := c.shards
	c.shards = nil
	c.mu.Unlock()
	for _, sh := range shards {
		if sh != nil {
			sh.Stop()
		}
	}
	return nil
}

func (c *Context) empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sockets) == 0 && c.lingering == 0
}

// DefaultLinger returns the LINGER of a new socket, in ms.
func (c *Context) DefaultLinger() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocky {
		return -1
	}
	return 0
}

// DefaultIPv6 returns the IPV6 option of a new socket.
func (c *Context) DefaultIPv6() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ipv6
}

// spread returns the number of shards that connections are spread over when AFFINITY does
// not name them. It is half the number of processors, because the application needs the
// others. More shards would only take turns with each other and with the caller.
// doc/performance.md has the numbers.
func (c *Context) spread() int {
	if testThreads != "" {
		return c.threads()
	}
	return min(c.threads(), max(1, runtime.NumCPU()/2))
}

// threads returns the highest number of io threads.
func (c *Context) threads() int {
	count := c.ioThreads
	if testThreads != "" && !c.threadsSet { // a new connection asks: Atoi's error would be garbage
		if n, err := strconv.Atoi(testThreads); err == nil {
			count = n
		}
	}
	return min(max(1, count), maxIOThreads)
}

// Shard returns the least busy shard that may serve a socket with this
// affinity (bit n: io thread n; 0: all). EMTHREAD: no such io thread.
func (c *Context) Shard(affinity uint64) (*engine.Shard, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := c.threads()
	if affinity == 0 {
		affinity = 1<<c.spread() - 1
	}
	if c.shards == nil {
		c.shards = make([]*engine.Shard, count)
	}
	best := -1
	for i := range count {
		if affinity&(1<<i) != 0 && (best < 0 || load(c.shards[i]) < load(c.shards[best])) {
			best = i
		}
	}
	if best < 0 {
		return nil, errno.New(errno.EMTHREAD, "AFFINITY %#x names no io thread", affinity)
	}
	if c.shards[best] == nil {
		// A waking shard needs a processor of Go's scheduler at once, however many the
		// machine has. A caller needs one, too.
		if err := engine.Reserve(count+2, 1); err != nil {
			return nil, err
		}
		sh, err := engine.NewShard(engine.ThreadConfig{Name: c.threadName(best),
			Policy: c.policy, Priority: c.priority, CPUs: slices.Clone(c.cpus)})
		if err != nil {
			return nil, errno.New(errno.Of(err), "cannot start an io thread: %v", err)
		}
		c.shards[best] = sh
	}
	return c.shards[best], nil
}

func load(sh *engine.Shard) int {
	if sh == nil {
		return 0
	}
	return sh.Connections()
}

// threadName returns an io thread's name, cut to the kernel's limit of 15 bytes.
func (c *Context) threadName(i int) string {
	name := fmt.Sprintf("ZLINKbg/IO/%d", i)
	if c.namePrefix >= 0 {
		name = fmt.Sprint(c.namePrefix, "/", name)
	}
	return name[:min(len(name), 15)]
}
