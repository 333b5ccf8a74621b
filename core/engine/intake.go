// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"encoding/binary"
	"math/bits"
)

// recordCount counts the whole records of TLS among the bytes of a connection.
type recordCount struct {
	header [5]byte // of the next record: type, version and length
	have   int     // bytes of header
	left   int     // bytes of the record that are still to come
	size   int     // of the record
}

// due returns how many bytes are left to the end of the header, or of the record.
func (r *recordCount) due() int {
	if r.left > 0 {
		return r.left
	}
	return len(r.header) - r.have
}

// next takes bytes up to the end of a record, and returns the others. whole: the end was
// there; size is that of the record.
func (r *recordCount) next(data []byte) (rest []byte, whole bool) {
	if r.left == 0 {
		n := copy(r.header[r.have:], data)
		if r.have, data = r.have+n, data[n:]; r.have < len(r.header) {
			return data, false
		}
		r.size = int(binary.BigEndian.Uint16(r.header[3:]))
		r.have, r.left = 0, r.size
	}
	n := min(r.left, len(data))
	if r.left -= n; r.left > 0 {
		return data[n:], false
	}
	return data[n:], true
}

// came takes bytes.
func (r *recordCount) came(data []byte) {
	for len(data) > 0 {
		data, _ = r.next(data)
	}
}

// intake calculates what crypto/tls keeps of a handshake's bytes before it answers: the
// messages of all complete records, in a buffer that doubles. The buffer of an incomplete
// record is counted where it is read. Only the goroutine uses it.
type intake struct {
	records recordCount
	whole   int // bytes of all complete records
}

// came takes received bytes, and returns how many more bytes are kept for them.
func (r *intake) came(data []byte) int64 {
	before := doubled(r.whole)
	for len(data) > 0 {
		var whole bool
		if data, whole = r.records.next(data); whole {
			r.whole += r.records.size
		}
	}
	return doubled(r.whole) - before
}

// doubled returns the size of a buffer that doubles until n bytes fit.
func doubled(n int) int64 {
	if n == 0 {
		return 0
	}
	return int64(1) << bits.Len(uint(n-1))
}
