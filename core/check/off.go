// SPDX-License-Identifier: MPL-2.0

//go:build !race && !asan && !zlink_check

package check

// On reports that assertions are compiled in.
const On = false

// That ends the process unless what is true. The sentence says what.
func That(bool, string) {}
