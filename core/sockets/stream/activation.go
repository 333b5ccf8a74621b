// SPDX-License-Identifier: MPL-2.0

package stream

import (
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/zlink/zlink/core/engine"
	"github.com/zlink/zlink/core/errno"
	"github.com/zlink/zlink/core/sockets"
	"github.com/zlink/zlink/core/sys"
)

// systemd passes listening descriptors from number 3 on, as sd_listen_fds(3) says: LISTEN_FDS
// is how many, LISTEN_PID for which process, and LISTEN_FDNAMES has their names.

// activated is what has been passed to the process.
var activated struct {
	sync.Mutex
	used  map[int]bool // descriptors that a listener has, or has had
	first int          // 0: firstPassed; tests have others
}

const (
	firstPassed = 3
	anyName     = "*"
	passedMost  = 4096 // more are no serious number
)

// listenActivated listens with the first descriptor that systemd has passed for an endpoint
// by the name of the option, and that no listener has had. The option is for one Bind.
func (k *Socket) listenActivated(sh *engine.Shard, transport *engine.Transport, addr engine.Address) (*engine.Listener, error) {
	name := k.opt.strings[sockets.OptListenName]
	activated.Lock()
	defer activated.Unlock()
	names, err := passedNames()
	if err != nil {
		return nil, err
	}
	for i, is := range names {
		fd := firstPassed + i
		if activated.first > 0 {
			fd = activated.first + i
		}
		if activated.used[fd] || name != anyName && name != is || !engine.ListensAt(fd, transport, addr) {
			continue
		}
		l, err := engine.ListenOn(sh, fd, transport, k.owner(), k.opt.tcp(), k.limits(), k.placer(sh))
		if err != nil {
			return nil, err
		}
		if activated.used == nil {
			activated.used = map[int]bool{}
		}
		activated.used[fd] = true
		k.opt.strings[sockets.OptListenName] = ""
		return l, nil
	}
	return nil, errno.New(errno.EINVAL, "systemd has passed no unused descriptor %q that listens for %s; it has passed %d: %.200q",
		name, transport.Endpoint, len(names), strings.Join(names, " "))
}

// passedNames returns the names of the descriptors that were passed to this process.
func passedNames() ([]string, error) {
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || count < 1 || count > passedMost {
		return nil, errno.New(errno.EINVAL, "systemd has passed no descriptors: LISTEN_FDS is %.20q", os.Getenv("LISTEN_FDS"))
	}
	if pid := os.Getenv("LISTEN_PID"); pid != strconv.Itoa(sys.ProcessID()) {
		return nil, errno.New(errno.EINVAL, "systemd has passed descriptors to process %.20q (LISTEN_PID), and this is %d", pid, sys.ProcessID())
	}
	var names []string
	if all := os.Getenv("LISTEN_FDNAMES"); all != "" {
		names = strings.Split(all, ":")
	}
	for len(names) < count {
		names = append(names, "unknown") // as systemd says
	}
	return names[:count], nil
}
