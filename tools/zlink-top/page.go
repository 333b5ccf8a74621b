// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/zlink/zlink/core/admin"
)

// page is what is shown of two reports.
type page struct {
	before, now admin.Report
	sort        int // a column
}

// row is a socket in both reports; before is zero if it is new.
type row struct {
	now, before admin.Socket
	span        time.Duration
}

func (r row) rate(of func(*admin.Socket) uint64) float64 {
	return admin.Rate(of(&r.before), of(&r.now), r.span)
}

// column is one of the table of sockets, and an order of it: largest first, but ids.
type column struct {
	key, title string
	value      func(row) float64
	text       func(float64) string
}

func msgsIn(s *admin.Socket) uint64   { return s.MsgsIn }
func msgsOut(s *admin.Socket) uint64  { return s.MsgsOut }
func bytesIn(s *admin.Socket) uint64  { return s.BytesIn }
func bytesOut(s *admin.Socket) uint64 { return s.BytesOut }
func refused(s *admin.Socket) uint64  { return s.Refused }
func dropped(s *admin.Socket) uint64  { return s.MsgsDropped }

var columns = []column{
	{"id", "SOCKET", func(r row) float64 { return float64(r.now.ID) }, count},
	{"connections", "PEERS", func(r row) float64 { return float64(r.now.Connections) }, count},
	{"in", "IN/s", func(r row) float64 { return r.rate(msgsIn) }, count},
	{"out", "OUT/s", func(r row) float64 { return r.rate(msgsOut) }, count},
	{"bytes-in", "IN B/s", func(r row) float64 { return r.rate(bytesIn) }, size},
	{"bytes-out", "OUT B/s", func(r row) float64 { return r.rate(bytesOut) }, size},
	{"queued", "QUEUED", func(r row) float64 { return float64(r.now.BytesQueued) }, size},
	{"unread", "UNREAD", func(r row) float64 { return float64(r.now.BytesUnread) }, size},
	{"refused", "REFUSED/s", func(r row) float64 { return r.rate(refused) }, count},
	{"dropped", "DROPPED/s", func(r row) float64 { return r.rate(dropped) }, count},
	{"memory", "MEMORY", func(r row) float64 { return float64(r.now.Memory) }, size},
}

// lines are all that there is to show; whoever shows them cuts them to the place there is.
func (p *page) lines() []string {
	if p.now.Version == 0 {
		return nil
	}
	rows := p.rows()
	lines := append(p.head(rows), "")
	lines = append(lines, p.sockets(rows)...)
	if reasons := p.reasons(rows); reasons != "" {
		lines = append(lines, "", "ENDED  "+reasons)
	}
	if len(p.now.Slowest) > 0 {
		lines = append(lines, "", fmt.Sprintf("%-8s %-10s %-44s %9s %9s %9s %9s", "SLOWEST", "PEER", "ADDRESS", "QUEUED", "MESSAGES", "MEMORY", "CAME"))
	}
	for _, s := range p.now.Slowest {
		lines = append(lines, fmt.Sprintf("%-8d %-10s %-44s %9s %9s %9s %9s", s.Socket, plain(s.RoutingID), plain(s.Remote), size(float64(s.BytesQueued)),
			count(float64(s.MsgsQueued)), size(float64(s.Memory)), age(p.now.Time-s.Since)))
	}
	return lines
}

// rows pairs the sockets of both reports, in order.
func (p *page) rows() (rows []row) {
	span := time.Duration(p.now.Monotonic - p.before.Monotonic)
	known := map[uint64]admin.Socket{}
	if p.before.PID == p.now.PID { // another process's sockets have the same numbers
		for _, s := range p.before.Sockets {
			known[s.ID] = s
		}
	}
	for _, s := range p.now.Sockets {
		r := row{now: s, before: s}
		if b, ok := known[s.ID]; ok {
			r.before, r.span = b, span
		}
		rows = append(rows, r)
	}
	by := columns[p.sort]
	slices.SortStableFunc(rows, func(a, b row) int {
		if by.key == "id" {
			return cmp.Compare(a.now.ID, b.now.ID)
		}
		return cmp.Compare(by.value(b), by.value(a))
	})
	return rows
}

func (p *page) head(rows []row) []string {
	var peers, in, out, bin, bout float64
	for _, r := range rows {
		peers += float64(r.now.Connections)
		in, out = in+r.rate(msgsIn), out+r.rate(msgsOut)
		bin, bout = bin+r.rate(bytesIn), bout+r.rate(bytesOut)
	}
	n := &p.now
	drivers := []string{}
	for _, d := range n.Drivers {
		text := fmt.Sprintf("%d: %s, %d peers, %d sockets", d.Number, plain(d.Role), d.Connections, d.Sockets)
		if d.Owing {
			text += ", owing"
		}
		drivers = append(drivers, text)
	}
	if len(drivers) == 0 {
		drivers = []string{"none yet"}
	}
	lines := []string{
		fmt.Sprintf("%s (%d)  %s  %d sockets, %s peers  in %s/s %s/s  out %s/s %s/s", plain(n.Program), n.PID,
			time.UnixMilli(n.Time).Format(time.TimeOnly), len(n.Sockets)+n.Missing, count(peers), count(in), size(bin), count(out), size(bout)),
		fmt.Sprintf("memory  %s resident, %s Go's heap, %d read buffers", size(float64(n.Memory.Resident)), size(float64(n.Memory.GoHeap)), n.Memory.Slabs),
		"drivers " + strings.Join(drivers, "; "),
	}
	if n.Closing > 0 {
		lines = append(lines, fmt.Sprintf("closing %d sockets with something left to send", n.Closing))
	}
	return lines
}

func (p *page) sockets(rows []row) []string {
	var title strings.Builder
	for i, c := range columns {
		name := c.title
		if i == p.sort {
			name = "*" + name
		}
		fmt.Fprintf(&title, "%10s ", name)
	}
	lines := []string{title.String() + "ENDPOINTS"}
	for _, r := range rows {
		var line strings.Builder
		for _, c := range columns {
			fmt.Fprintf(&line, "%10s ", c.text(c.value(r)))
		}
		var where []string
		for _, e := range r.now.Endpoints {
			where = append(where, map[string]string{"listen": "", "dial": "to "}[e.Kind]+plain(e.Text))
		}
		if r.now.Missing > 0 {
			where = append(where, fmt.Sprintf("and %d more", r.now.Missing))
		}
		if r.now.Draining {
			where = append(where, "draining")
		}
		lines = append(lines, line.String()+strings.Join(where, ", "))
	}
	if p.now.Missing > 0 {
		lines = append(lines, fmt.Sprintf("%d sockets more", p.now.Missing))
	}
	return lines
}

// reasons adds up why connections ended, most often first.
func (p *page) reasons(rows []row) string {
	ended := map[string]uint64{}
	turnedAway := uint64(0)
	for _, r := range rows {
		for why, n := range r.now.Reasons {
			ended[why] += n
		}
		turnedAway += r.now.TurnedAway
	}
	names := slices.SortedFunc(maps.Keys(ended), func(a, b string) int {
		return cmp.Or(cmp.Compare(ended[b], ended[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, why := range names {
		parts = append(parts, fmt.Sprintf("%s %d", plain(why), ended[why]))
	}
	if turnedAway > 0 {
		parts = append(parts, fmt.Sprintf("(%d of them before they were peers)", turnedAway))
	}
	return strings.Join(parts, "  ")
}

// count writes a number in at most six places.
func count(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1fG", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1fM", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.1fk", n/1e3)
	case n > 0 && n < 10 && n != float64(int(n)):
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

// size writes a number of bytes.
func size(n float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if n < 1024 {
			if unit == "B" {
				return fmt.Sprintf("%.0f B", n)
			}
			return fmt.Sprintf("%.1f %s", n, unit)
		}
		n /= 1024
	}
	return fmt.Sprintf("%.1f TiB", n)
}

// age writes a span of milliseconds.
func age(ms int64) string {
	return max(0, time.Duration(ms)*time.Millisecond).Truncate(time.Second).String()
}

// plain makes a text that cannot command a terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
