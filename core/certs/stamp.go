// SPDX-License-Identifier: MPL-2.0

package certs

import (
	"os"
	"slices"
)

// Stamp shows whether files have changed since it was made.
type Stamp []os.FileInfo

// Look makes the stamp of files, some of which may not exist. It opens none.
func Look(paths []string) Stamp {
	s := make(Stamp, len(paths))
	for i, path := range paths {
		if path != "" {
			s[i], _ = os.Stat(path)
		}
	}
	return s
}

// Same reports whether two stamps are of the same state of the same files.
func (s Stamp) Same(other Stamp) bool {
	return slices.EqualFunc(s, other, func(a, b os.FileInfo) bool {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
	})
}
