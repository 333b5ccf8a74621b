// SPDX-License-Identifier: MPL-2.0

package engine

import "unicode/utf8"

// utf8Check looks whether text that comes in pieces is UTF-8.
type utf8Check struct {
	have uint8             // bytes of part
	part [utf8.UTFMax]byte // the start of a character
}

// add takes the next piece. It returns false as soon as no continuation would be UTF-8.
func (u *utf8Check) add(piece []byte) bool {
	for u.have > 0 && len(piece) > 0 {
		u.part[u.have] = piece[0]
		u.have++
		piece = piece[1:]
		if part := u.part[:u.have]; utf8.FullRune(part) {
			if !utf8.Valid(part) {
				return false
			}
			u.have = 0
		}
	}
	whole := len(piece)
	for n := 1; n < utf8.UTFMax && n <= len(piece); n++ {
		if last := piece[len(piece)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				whole -= n
			}
			break
		}
	}
	if whole < len(piece) {
		u.have = uint8(copy(u.part[:], piece[whole:]))
	}
	return utf8.Valid(piece[:whole])
}

// ends reports whether the text may end here, and begins another one.
func (u *utf8Check) ends() bool {
	whole := u.have == 0
	u.have = 0
	return whole
}
