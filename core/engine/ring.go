// SPDX-License-Identifier: MPL-2.0

package engine

// ring is a first-in-first-out queue of connections.
type ring struct {
	items       []*Conn // length a power of two
	first, used int
}

// ringKept is how many places an empty ring keeps: 4 KiB.
const ringKept = 512

func (r *ring) len() int { return r.used }

func (r *ring) push(c *Conn) {
	if r.used == len(r.items) {
		grown := make([]*Conn, max(16, 2*len(r.items)))
		for i := range r.used {
			grown[i] = r.items[(r.first+i)%len(r.items)]
		}
		r.items, r.first = grown, 0
	}
	r.items[(r.first+r.used)&(len(r.items)-1)] = c
	r.used++
}

// trim frees what a crowd has left.
func (r *ring) trim() {
	if r.used == 0 && len(r.items) > ringKept {
		*r = ring{}
	}
}

func (r *ring) pop() *Conn {
	c := r.items[r.first]
	r.items[r.first] = nil
	r.first = (r.first + 1) & (len(r.items) - 1)
	r.used--
	return c
}
