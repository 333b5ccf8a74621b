// SPDX-License-Identifier: MPL-2.0

//go:build zlink_goroot

package main

import (
	"crypto/tls"

	"github.com/zlink/zlink/core/certs"
)

// The Go that the library is built with has a place for this (cmake/GoRuntime.cmake).
func init() { tls.ParseUnverified = certs.ParseLeniently }
