// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"iter"
	"unicode/utf16"
)

// blocks returns the PEM blocks of a text and skips anything between them.
func blocks(text []byte) iter.Seq[*pem.Block] {
	text = plain(text)
	return func(yield func(*pem.Block) bool) {
		for {
			block, rest := pem.Decode(text)
			if block == nil || !yield(block) {
				return
			}
			text = rest
		}
	}
}

var (
	markUTF8  = []byte("\xEF\xBB\xBF")
	markLow   = []byte("\xFF\xFE")
	markHigh  = []byte("\xFE\xFF")
	noNewline = []byte("----------BEGIN ")
	newline   = []byte("-----\n-----BEGIN ")
)

// plain undoes what editors and shells do to PEM: UTF-16, byte-order marks, also in the
// middle of joined files, and a missing line end in front of the next block. encoding/pem
// needs every block to begin a line.
func plain(text []byte) []byte {
	switch {
	case bytes.HasPrefix(text, markLow):
		text = fromUTF16(text[2:], binary.LittleEndian)
	case bytes.HasPrefix(text, markHigh):
		text = fromUTF16(text[2:], binary.BigEndian)
	}
	text = bytes.ReplaceAll(text, markUTF8, nil)
	return bytes.ReplaceAll(text, noNewline, newline)
}

func fromUTF16(text []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16(text[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}

// isCertificate reports whether a block is a certificate, under any of the names in use.
func isCertificate(block *pem.Block) bool {
	switch block.Type {
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		return true
	}
	return false
}

// certificateOf returns the certificate of a block. In a TRUSTED CERTIFICATE, OpenSSL's
// list of trusted purposes follows it.
func certificateOf(block *pem.Block) []byte {
	if first, ok := readElement(block.Bytes); ok && block.Type == "TRUSTED CERTIFICATE" {
		return first.whole
	}
	return block.Bytes
}
