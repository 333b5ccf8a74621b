// SPDX-License-Identifier: MPL-2.0

package shm

import (
	"sync/atomic"
	"unsafe"
)

// Sockets get routing ids by the block, so that no two of a process give the same id. The
// highest bits of an id are the number of its block.
//
//capi:const ZL
const (
	IDBlockBits = 14 // of an id, its bits within the block
	IDPageBits  = 9  // of a block's number, its bits within the page
)

// The numbers of all blocks, and of all pages.
const (
	IDBlocks = 1 << (32 - IDBlockBits)
	IDPages  = IDBlocks >> IDPageBits
)

// IDPage has the handles of the sockets that have the blocks of a page. 0: the block is
// nobody's, or that of a socket to which C leaves no short way by the id alone.
//
//capi:struct zl_id_page
type IDPage struct {
	Handles [1 << IDPageBits]atomic.Uint64
}

// IDDirectory finds the page of a block. A page is never freed.
//
//capi:struct zl_id_directory
type IDDirectory struct {
	Pages [IDPages]atomic.Pointer[IDPage]
}

// IDs is the directory of the process. It lies in mapped memory because C reads it. Its word is
// a hint: who follows it compares handle and id with what is there (append.go).
var IDs = (*IDDirectory)(mapPages(unsafe.Sizeof(IDDirectory{})))

// Tell stores the handle of the socket that has a block from now on. Without memory for that
// the block stays one without a short way. One thread at a time.
func (d *IDDirectory) Tell(block uint32, handle uint64) {
	place := &d.Pages[block>>IDPageBits]
	page := place.Load()
	if page == nil && handle != 0 {
		page = (*IDPage)(mapPages(unsafe.Sizeof(IDPage{})))
		place.Store(page)
	}
	if page != nil {
		page.Handles[block%(1<<IDPageBits)].Store(handle)
	}
}
