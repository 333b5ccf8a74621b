// SPDX-License-Identifier: MPL-2.0

//go:build race

package shm

const raceBuild = true
