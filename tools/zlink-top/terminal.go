// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// terminal is the one that the program runs in. It reads keys at once, and shows a page of its
// own, behind which the old one comes back.
type terminal struct {
	old  *unix.Termios
	keys chan byte // closed when there are no more
}

const (
	enter = "\x1b[?1049h\x1b[?25l\x1b[?7l" // another page, no cursor, no wrapping
	leave = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

func openTerminal() (*terminal, error) {
	old, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	if err == nil {
		_, err = unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	}
	if err != nil {
		return nil, fmt.Errorf("standard input and output are no terminal: %w", err)
	}
	raw := *old
	raw.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG
	if err := unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, &raw); err != nil {
		return nil, err
	}
	t := &terminal{old: old, keys: make(chan byte)}
	_, _ = os.Stdout.WriteString(enter)
	go t.readKeys()
	return t, nil
}

func (t *terminal) readKeys() {
	defer close(t.keys)
	buf := make([]byte, 16)
	for {
		n, err := os.Stdin.Read(buf)
		if n == 0 || err != nil {
			return
		}
		if buf[0] == 0x1b { // an arrow or so
			continue
		}
		for _, key := range buf[:n] {
			t.keys <- key
		}
	}
}

func (t *terminal) close() {
	_, _ = os.Stdout.WriteString(leave)
	_ = unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, t.old)
}

// draw shows what fits of the lines, and the last one below.
func (t *terminal) draw(lines []string, last string) {
	rows, columns := 24, 80
	if w, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil && w.Row > 1 && w.Col > 0 {
		rows, columns = int(w.Row), int(w.Col)
	}
	_, _ = os.Stdout.WriteString(screen(lines, last, rows, columns))
}

// screen is what makes a terminal show the lines.
func screen(lines []string, last string, rows, columns int) string {
	var out strings.Builder
	out.WriteString("\x1b[H")
	for _, line := range lines[:min(len(lines), rows-1)] {
		out.WriteString(cut(line, columns) + "\x1b[K\r\n")
	}
	fmt.Fprintf(&out, "\x1b[J\x1b[%d;1H\x1b[7m%s\x1b[m\x1b[K", rows, cut(last, columns))
	return out.String()
}

// cut cuts a line to a number of characters.
func cut(line string, most int) string {
	n := 0
	for at := range line {
		if n == most {
			return line[:at]
		}
		n++
	}
	return line
}
