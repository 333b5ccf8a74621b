// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ticketKeysMost limits the keys that are tried on each ticket that a client shows.
const ticketKeysMost = 16

// TicketKeys reads the keys of session tickets: a line for each, 32 bytes in base64. The first one
// is that of new tickets. Empty lines and those that begin with # do not count. EINVAL as with
// KeyPair.
func TicketKeys(file string) (keys [][32]byte, err error) {
	text, err := read(optTickets, file)
	if err != nil {
		return nil, err
	}
	number := 0
	for line := range strings.Lines(string(plain(text))) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != 32 { // the sentence must not have a part of the key
			return nil, unusable(optTickets, file, fmt.Errorf("line %d is not 32 bytes in base64", number))
		}
		keys = append(keys, [32]byte(key))
	}
	switch {
	case len(keys) == 0:
		return nil, unusable(optTickets, file, errors.New("there is no key in it"))
	case len(keys) > ticketKeysMost:
		return nil, unusable(optTickets, file, fmt.Errorf("there are more than %d keys in it", ticketKeysMost))
	}
	return keys, nil
}
