// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"github.com/zlink/zlink/core/admin"
	"github.com/zlink/zlink/core/shm"
)

// roles are the names of who runs a shard's loop.
var roles = map[uint32]string{
	shm.DriverNone: "none", shm.DriverThread: "thread", shm.DriverCaller: "caller", shm.DriverFlusher: "flusher",
}

// Report returns what there is to say of a shard that is not stopped. Any thread; it does not disturb the driver.
func (sh *Shard) Report() admin.Driver {
	return admin.Driver{Connections: sh.Connections(), Sockets: int(sh.Users.Load()),
		Role: roles[sh.Shared.Driver.Load()], Owing: sh.owing.Load()}
}
