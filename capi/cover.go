// SPDX-License-Identifier: MPL-2.0

//go:build zlink_cover

package main

import (
	"os"
	"runtime/coverage"
)

import "C"

// A program that is not Go's never reaches the end of main, where Go would write its
// counters (cover.c).
//
//export zgo_write_coverage
func zgo_write_coverage() {
	dir := os.Getenv("GOCOVERDIR")
	if err := coverage.WriteCountersDir(dir); err != nil && dir != "" {
		os.Stderr.WriteString("zlink: no coverage: " + err.Error() + "\n")
	}
}
