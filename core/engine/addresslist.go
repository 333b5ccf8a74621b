// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// AddressList is a set of IP addresses, as ranges that do not touch, in order. It does not
// change. A nil list has no address.
type AddressList struct{ ranges []addressRange }

type addressRange struct{ first, last netip.Addr }

// ParseAddressList reads addresses and blocks (192.0.2.0/24) with commas or spaces between.
// The error names the entry that is wrong.
func ParseAddressList(text string) (*AddressList, error) {
	entries := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	if len(entries) == 0 && text != "" {
		return nil, fmt.Errorf("%.64q has no entry; an empty text has all addresses pass", text)
	}
	list := &AddressList{}
	for _, entry := range entries {
		block, err := parseBlock(entry)
		if err != nil {
			return nil, err
		}
		list.ranges = append(list.ranges, addressRange{block.Addr(), lastOf(block)})
	}
	list.join()
	return list, nil
}

// entryMost is how much of a wrong entry an error repeats.
const entryMost = 64

func parseBlock(entry string) (netip.Prefix, error) {
	bad := func(why string, args ...any) (netip.Prefix, error) {
		if len(entry) > entryMost {
			entry = entry[:entryMost] + "..."
		}
		return netip.Prefix{}, fmt.Errorf("%q "+why, append([]any{entry}, args...)...)
	}
	address, length, hasLength := strings.Cut(entry, "/")
	addr, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return bad("is not an IP address, or a block of them such as 192.0.2.0/24")
	case addr.Zone() != "":
		return bad("has a zone, which the addresses of peers are compared without")
	case !hasLength:
		return unmapped(netip.PrefixFrom(addr, addr.BitLen()))
	}
	block, err := netip.ParsePrefix(entry)
	if err != nil {
		return bad("has a prefix of %q bits; 0 to %d are possible", length, addr.BitLen())
	}
	if whole := block.Masked(); whole != block {
		return bad("has bits behind its prefix: the block is %s", whole)
	}
	block, err = unmapped(block)
	if err != nil {
		return bad("%s", err)
	}
	return block, nil
}

// mappedBits is the length of the prefix that makes an IPv4 address one of IPv6.
const mappedBits = 96

// unmapped returns a block of IPv4-mapped IPv6 addresses as one of IPv4.
func unmapped(block netip.Prefix) (netip.Prefix, error) {
	switch {
	case !block.Addr().Is4In6():
		return block, nil
	case block.Bits() < mappedBits:
		return block, errors.New("is a block of IPv4 and of other addresses")
	}
	return netip.PrefixFrom(block.Addr().Unmap(), block.Bits()-mappedBits), nil
}

// lastOf returns the last address of a block.
func lastOf(block netip.Prefix) netip.Addr {
	bytes := block.Addr().AsSlice()
	for bit := block.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// join sorts the ranges and makes one of those that touch.
func (l *AddressList) join() {
	slices.SortFunc(l.ranges, func(a, b addressRange) int { return a.first.Compare(b.first) })
	joined := l.ranges[:0]
	for _, r := range l.ranges {
		if n := len(joined); n > 0 && !joined[n-1].before(r.first) {
			if joined[n-1].last.Less(r.last) {
				joined[n-1].last = r.last
			}
			continue
		}
		joined = append(joined, r)
	}
	l.ranges = slices.Clip(joined)
}

// before reports whether there is a gap between the range and an address above its first.
func (r addressRange) before(addr netip.Addr) bool {
	next := r.last.Next() // not valid behind the last address of a family
	return r.last.BitLen() != addr.BitLen() || next.IsValid() && next.Less(addr)
}

// Empty reports whether the list has no address.
func (l *AddressList) Empty() bool { return l == nil || len(l.ranges) == 0 }

// Contains reports whether the list has an address. An IPv4-mapped address of IPv6
// counts as one of IPv4.
func (l *AddressList) Contains(addr netip.Addr) bool {
	if l.Empty() {
		return false
	}
	addr = addr.Unmap().WithZone("")
	i, found := slices.BinarySearchFunc(l.ranges, addr, func(r addressRange, a netip.Addr) int { return r.first.Compare(a) })
	return found || i > 0 && !l.ranges[i-1].last.Less(addr)
}
