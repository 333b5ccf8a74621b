// SPDX-License-Identifier: MPL-2.0

package main

// message draws the way of a message in both directions. The columns say who owns what;
// the numbers are those of the steps in doc/architecture.md.
func message() *canvas {
	c := &canvas{width: 980, height: 606, title: "The way of a message, and who owns what"}
	owners(c)
	wayIn(c)
	wayOut(c)
	c.text(26, 566, "start", "faint", "RCVHWM: a connection with that many messages waiting to be taken is not read, so TCP pushes back.")
	c.text(26, 586, "start", "faint", "SNDHWM: with that many waiting to be written, zlink_send waits or fails with EAGAIN. Only tls, ws and wss have layers.")
	return c
}

// The columns.
const (
	appX, appW       = 14, 206
	sharedX, sharedW = 228, 246
	driverX, driverW = 482, 318
	kernelX, kernelW = 808, 158
	bandY, bandH     = 14, 530
)

func owners(c *canvas) {
	for _, o := range []struct {
		x, w                 int
		class, title         string
		first, second, third string
	}{
		{appX, appW, "app", "Application's thread", "owns the runs that it took", "and the state of its call", ""},
		{sharedX, sharedW, "shared", "Shared memory", "any thread: lists by one atomic", "step, the main queue under", "the session's lock"},
		{driverX, driverW, "driver", "Driver of the shard", "its own thread, or one in zlink_recv;", "owns sessions, timers, descriptors, the", "slab being filled and the flush queues"},
		{kernelX, kernelW, "kernel", "Kernel", "owns what it took,", "until the peer's", "kernel has it"},
	} {
		c.band(o.x, bandY, o.w, bandH, o.class)
		c.text(o.x+o.w/2, 38, "middle", "title", o.title)
		for i, line := range []string{o.first, o.second, o.third} {
			if line != "" {
				c.text(o.x+o.w/2, 58+i*lineStep, "middle", "small", line)
			}
		}
	}
}

func wayIn(c *canvas) {
	c.text(26, 134, "start", "title", "The way in")
	kernelBuffer := c.box(822, 160, 130, 80, "kernel", "receive buffer")
	c.box(704, 160, 82, 80, "driver maybe", "layers", "decode:", "TLS, WS")
	slab := c.box(506, 160, 170, 80, "driver", "slab, 320 KiB", "one read; its whole", "frames are one run")
	c.box(506, 274, 170, 36, "driver", "stash: cut frames")
	inbox := c.box(252, 160, 198, 80, "shared", "socket's inbox", "runs; nothing is copied;", "wakes one who sleeps")
	c.box(252, 274, 198, 36, "shared", "pool of slabs")
	recv := c.box(26, 160, 182, 80, "app", "zlink_recv", "takes all runs at once,", "copies id and body out")
	c.arrow("", 822, 200, 786, 200)
	c.arrow("", 704, 200, 676, 200)
	c.arrow("", 506, 190, 450, 190)
	c.arrow("", 252, 200, 208, 200)
	c.arrow("back", 560, 240, 560, 274)
	c.arrow("back", 620, 274, 620, 240)
	c.arrow("back", 117, 240, 117, 292, 252, 292)
	c.arrow("back", 450, 292, 478, 292, 478, 222, 506, 222)
	c.text(122, 312, "start", "faint", "last reference")
	c.steps(kernelBuffer.onTop(), slab.onTop(), inbox.onTop(), recv.onTop())
}

func wayOut(c *canvas) {
	c.text(26, 356, "start", "title", "The way out")
	send := c.box(26, 380, 182, 80, "app", "zlink_send", "finds the session: slot", "id & mask of the table")
	mainQueue := c.box(252, 380, 198, 80, "shared", "session's main queue", "length and body, in", "chunks of 1 to 64 KiB")
	c.box(252, 494, 198, 36, "shared", "shard's dirty list")
	flush := c.box(506, 380, 170, 80, "driver", "flush queue", "the whole main queue,", "taken at once")
	c.box(704, 380, 82, 80, "driver maybe", "layers", "seal:", "WS, TLS")
	kernelBuffer := c.box(822, 380, 130, 80, "kernel", "send buffer")
	c.arrow("", 208, 420, 252, 420)
	c.arrow("", 450, 420, 506, 420)
	c.arrow("", 676, 420, 704, 420)
	c.arrow("", 786, 420, 822, 420)
	c.arrow("back", 351, 460, 351, 494)
	c.arrow("back", 450, 512, 590, 512, 590, 460)
	c.text(602, 507, "start", "faint", "wakes the driver, once,")
	c.text(602, 524, "start", "faint", "and only if it sleeps")
	c.steps(send.onTop(), mainQueue.onTop(), flush.onTop(), kernelBuffer.onTop())
}
