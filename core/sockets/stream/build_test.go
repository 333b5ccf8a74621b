// SPDX-License-Identifier: MPL-2.0

//go:build !race

package stream

const raceBuild = false

// fewer is how often something is done that takes ten times as long under the race detector.
func fewer(n int) int { return n }
