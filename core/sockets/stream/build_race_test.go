// SPDX-License-Identifier: MPL-2.0

//go:build race

package stream

const raceBuild = true

func fewer(n int) int { return (n + 4) / 5 }
