// SPDX-License-Identifier: MPL-2.0

package engine

import "github.com/zlink/zlink/core/shm"

// scan finds the whole frames at the start of buf, at most room of them, as the framing has them.
func (c *Conn) scan(buf []byte, room int) scanned {
	if c.transport.Framing == FramingHeaders {
		return scanHeaders(buf, room, c.limits.MaxMsgSize)
	}
	return scan(buf, room, c.limits.MaxMsgSize)
}

// scanHeaders is scan for FramingHeaders. maxBody is for a header and its body together.
func scanHeaders(buf []byte, room int, maxBody int64) scanned {
	var found scanned
	if maxBody < 0 || maxBody > shm.HeadersMost {
		maxBody = shm.HeadersMost
	}
	for found.frames < room && len(buf)-found.used >= shm.FrontSize {
		size := shm.Framed(buf[found.used:])
		if size-shm.FrontSize > uint64(maxBody) {
			found.tooLong = true
			return found
		}
		if size > uint64(len(buf)-found.used) {
			found.need = size
			return found
		}
		found.used += int(size)
		found.frames++
	}
	return found
}

// unwire turns whole frames of FramingHeaders, as they came, into those of a run.
func unwire(frames []byte) {
	for len(frames) > 0 {
		size := shm.Framed(frames)
		shm.Unwire(frames)
		frames = frames[size:]
	}
}
