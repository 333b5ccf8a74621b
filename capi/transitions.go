// SPDX-License-Identifier: MPL-2.0

//go:build asan || zlink_check

package main

import "C"

import (
	"os"

	"github.com/zlink/zlink/core/check"
)

// zgo_print_transitions is for the watchdog of C tests.
//
//export zgo_print_transitions
func zgo_print_transitions() { check.PrintTransitions(os.Stderr) }
