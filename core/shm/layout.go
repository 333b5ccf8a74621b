// SPDX-License-Identifier: MPL-2.0

// Package shm holds the structures that io shards, Go callers and the C layer of
// libzlink.so share: their layout in memory, the pools they come from, and the
// small lock-free protocols between the threads.
//
// The memory is mapped outside Go's heap, so that C may keep pointers into it.
// Sockets, sessions, chunks and slabs are type-stable: their memory is never
// unmapped or used for something else. A stale pointer therefore always finds a
// struct of its kind and can see that it is stale. core/shm/print prints capi/layout.h
// from what is marked here.
//
// The package knows nothing of connections' descriptors, transports or socket
// options. It writes to one descriptor only: the eventfd of a sleeping shard.
package shm

import (
	"sync/atomic"
	"unsafe"
)

//go:generate go run ./print ../..

// Sizes in bytes.
//
//capi:const ZL
const (
	PageSize       = 4096
	HeaderSize     = 64         // of Run, Chunk and Slab; their data follows
	RefSize        = HeaderSize // Chunk of class ClassRef: no data
	TinyChunkSize  = 1 << 10    // Chunk of class ClassTiny, header included
	SmallChunkSize = 4 << 10    // Chunk of class ClassSmall
	MidChunkSize   = 16 << 10   // Chunk of class ClassMid
	LargeChunkSize = 64 << 10   // Chunk of class ClassLarge
	SlabSize       = 320 << 10  // Slab of class ClassSlab
	Slab64Size     = 68 << 10   // Slab of class ClassSlab64: a frame of 64 KiB
	Slab128Size    = 132 << 10  // Slab of class ClassSlab128
	Slab256Size    = 260 << 10  // Slab of class ClassSlab256
	Slab512Size    = 516 << 10  // Slab of class ClassSlab512
	BigSlabSize    = 1088 << 10 // Slab of class ClassBigSlab: a frame of 1 MiB
)

// Classes of chunks and slabs. A Pool holds the free blocks of those below ClassDedicated.
//
//capi:const ZL
const (
	ClassRef = iota // refers to bytes that lie elsewhere, and has none: cast.go
	ClassTiny
	ClassSmall
	ClassMid
	ClassLarge
	ClassSlab   // frames of one read, or of several
	ClassSlab64 // from here on a slab is for one long frame
	ClassSlab128
	ClassSlab256
	ClassSlab512
	ClassBigSlab
	ClassDedicated // a mapping of its own, unmapped when it is free
	ClassCopied    // in Go's memory
)

// Kinds of a Run.
//
//capi:const ZL
const (
	RunData         = 0 // whole frames
	RunConnected    = 1 // the connection came up
	RunDisconnected = 2 // the connection ended; the last run of a session
	RunWritable     = 3 // a queue that refused a message has room again
	RunAsking       = 5 // somebody waits for the application's decision; of a session without a connection
	RunDrained      = 4 // no peer is left, and none comes; an event of the socket, without a session
)

// States of a session as its senders see it.
//
//capi:const ZL
const (
	TxClosed  = 0 // no peer: EHOSTUNREACH
	TxOpen    = 1
	TxClosing = 2 // closes once the queue is written: EHOSTUNREACH
)

// Bits of TxDirty.
//
//capi:const ZL
const (
	DirtyListed = 1 // on the shard's list of sessions to flush
	DirtyHeld   = 2 // the kernel takes nothing; the driver takes the queue when the kernel does again
)

// Bits of TxMarks.
//
//capi:const ZL
const (
	MarkRefused = 1  // a send got EAGAIN, and its sender waits for RunWritable
	MarkUp      = 2  // Up is pushed, or will be, and not yet taken
	MarkOwed    = 4  // once Up is taken as RunConnected, it is RunWritable
	MarkVisit   = 8  // the shard will look at the session, although it is not dirty
	MarkTwins   = 16 // the main queue may have two messages with one key (cast.go)
)

// Kinds of a peer's address.
//
//capi:const ZL
const (
	IPNone = 0 // the transport has none
	IP4    = 4
	IP6    = 6
	IPCard = 5 // it is in the card, to which the first bytes of the address point
)

// Driver states of a shard.
//
//capi:const ZL
const (
	DriverNone    = 0 // nobody runs the shard's loop
	DriverThread  = 1 // the shard's own thread does
	DriverCaller  = 2 // a thread inside a receive call does
	DriverFlusher = 3 // a sending thread writes what is queued, and leaves
)

// Run is what a shard hands to a socket. It is either a piece of a slab that holds whole
// frames of one session, or an event of that session. The header of a data run
// lies in the slab in front of its frames. The two events of a connection lie
// in its Session. A pushed run belongs to the receiving thread.
//
//capi:struct zl_run
type Run struct {
	RunHead
	// Only RunData has the fields from here on; an event ends before them.
	Session *Session // run.go: Of
	Slab    *Slab    // the run holds one reference
	Data    *byte    // the first frame's length field
	Size    uint64   // bytes of all frames, length fields included
	Text    uint32   // what all of its messages are: 0, or RunText, or RunHeaders
}

// RunHead is the part of a run that an event has, too.
//
//capi:struct zl_run_head
type RunHead struct {
	Next unsafe.Pointer // *Run, in the inbox or the receiver's list
	Msgs uint32         // frames; of RunDisconnected: farewell.go; of the event in Up: groups.go
	Kind uint32
}

// Slab is a block with received bytes. Refs counts the runs and messages that point
// into it, and also the shard while it still fills it.
//
//capi:struct zl_slab
type Slab struct {
	Next  unsafe.Pointer // *Slab, in its pool
	Refs  atomic.Int32
	Class uint32
	Size  uint64 // header included
	// Account is that of the socket whose runs alone are here; nil: of several sockets.
	Account atomic.Pointer[Account]
	Have    uint64       // bytes that are there of a single long frame that still comes
	Need    uint64       // size of that frame in bytes; 0: a slab of runs
	Charged atomic.Int64 // bytes that Account counts for it
	_       [8]byte
}

// Account adds up the memory that received messages of a socket take (account.go).
//
//capi:struct zl_account
type Account struct {
	Kept  atomic.Int64 // bytes of slabs that no shard fills any more, and of copies in their place
	Begun atomic.Int64 // bytes of messages that are not whole
	Total atomic.Int64 // limit for both; 0: none
	Cards atomic.Int64 // bytes of cards; they do not count for Total
	_     [32]byte
}

// Chunk is a block of a session's send queue. It holds the bytes [Start, End) of its data,
// and behind them those of Ext if there are any. A chunk with Ext takes no more bytes.
// Ext and Owner may lie in Go's heap, where others keep them alive. They are numbers here,
// because the collector must not meet a stale pointer.
//
//capi:struct zl_chunk
type Chunk struct {
	Next   unsafe.Pointer // *Chunk, in the queue or in its pool
	Class  uint32
	Cap    uint32 // bytes of data
	Start  uint32 // written up to here; moved by the shard only
	End    uint32
	Msgs   uint32  // frames that end in this chunk
	Open   uint32  // length of the trailing bytes that begin a frame which ends in a later chunk
	Ext    uintptr // address of bytes that are sent from their own place
	ExtLen uint32  // bytes of Ext that are not yet written
	ExtAll uint32
	Size   uint64  // size of the block in bytes, header included
	Owner  uintptr // released when Ext is written or dropped; Headed uses its place
}

// Session is the part of a connection that other threads see. It takes three cache lines;
// messages need two of them.
//
//capi:struct zl_session
type Session struct {
	// For senders. TxLock guards the fields that are not atomic.
	Rid       atomic.Uint32 // routing id; 0: the slot is free. Stored under TxLock; Find reads it without
	TxLock    atomic.Uint32 // lock.go
	TxWaiters atomic.Uint32 // threads that wait for TxLock
	TxHwm     uint32        // most messages queued; 0: no limit
	TxQueued  atomic.Uint32 // messages ever appended, modulo 2^32; stored under TxLock
	TxDone    atomic.Uint32 // messages ever written; stored by the shard
	TxState   uint8
	TxDirty   uint8 // DirtyListed, DirtyHeld; if 0, a sender has to put the session on the list
	TxHint    uint8 // class of the chunk that would have fitted the last batch
	TxMarks   uint8
	TxRoom    uint32 // bytes of blocks that a held queue may add: held.go
	TxHead    *Chunk // the main queue
	TxTail    *Chunk
	Shard     *Wakeup
	DirtyNext unsafe.Pointer // *Session

	TxBytes uint64       // bytes ever appended, length fields included; under TxLock
	Memory  atomic.Int64 // bytes of the blocks that the session has

	// For the receiver.
	RxQueued  atomic.Uint64 // what is pushed and not yet taken, as Run.Weight counts it
	RxStalled atomic.Uint32 // not 0: the shard waits until fewer messages than that are queued
	Refs      atomic.Int32  // the engine and the unread disconnect event
	Owner     uint64        // Serial of the socket; 0: the slot is free; under TxLock
	ID        *byte         // the id frame: IDLen bytes
	ID4       [4]byte       // the id frame of a session without an alias
	Fd        int32         // valid while TxState is not TxClosed; the driver
	IDLen     uint8
	IPKind    uint8         // IPNone, IP4, IP6 or IPCard
	Port      uint16        // the peer's
	TxLimit   atomic.Uint32 // how far TxBytes may go, in units of SendUnit, modulo 2^32; stored by the driver

	IP      [16]byte // the peer's, or its card: card.go
	Zone    uint32   // of a link-local address
	TxBound uint32   // most bytes queued; 0: no limit; set before the session is open
	TxBegun uint32   // bytes at the start of a held queue that must stay; under TxLock
	TxFirst uint32   // of these, the rest of the first message
	Up      RunHead  // the connection came up, or its queue has room again
	Down    RunHead  // it ended
}

// Inbox is a stack: any thread pushes one node, and one thread takes all of them (inbox.go).
//
//capi:struct zl_inbox
type Inbox struct{ head unsafe.Pointer }

// Table finds a session by its routing id, in slot id&Mask. A socket never gives an id
// whose slot another live one has.
//
//capi:struct zl_table
type Table struct {
	Mask  uint64
	Slots [0]atomic.Pointer[Session] // Mask+1 of them; see Slot
}

// Queues is the part of a socket that the C layer and the shards see.
//
//capi:struct zl_queues
type Queues struct {
	// Set by control calls.
	Handle atomic.Uint64 // the handle that the caller has; 0 once closed or shut down
	Table  atomic.Pointer[Table]
	Shard  atomic.Pointer[Wakeup] // the shard that a receive call may drive, or nil
	Serial uint64                 // unique name of the socket: its handle, or a small number in a Go program
	TxMask uint32                 // the bits of a length field in send queues that are the length
	// TxHeaders is not 0 if frames have headers (front.go): C leaves each call of the data path to Go.
	TxHeaders uint32
	TxTotal   atomic.Int64 // most bytes of TxMemory; 0: no limit
	_         [16]byte

	// Private to the receiving thread.
	RxRun   *Run          // the run being read, or nil
	RxList  *Run          // taken from RxInbox, oldest first
	RxPos   *byte         // next frame of RxRun
	RxLeft  uint64        // bytes of RxRun from RxPos on
	RxPhase uint32        // PhaseID, PhaseBody or PhaseFast
	RxMore  uint32        // the value of RCVMORE
	RxHand  atomic.Uint32 // not 0: the receiver has a run, so it will be back; senders look
	_       [20]byte

	// Private to the sending thread (COMPAT), which may differ from the receiving one.
	TxSession *Session
	TxRid     uint32
	TxPhase   uint32
	TxPromise uint32 // not 0: the id was taken with DONTWAIT, so its body has room (bounds.go)
	_         [44]byte

	// Between the shards and the receiver.
	RxInbox     Inbox
	RxWaiting   atomic.Int64  // bytes pushed and not yet taken
	RxThrottled atomic.Uint32 // shards wait for RxWaiting < RxLow
	RxLow       atomic.Uint32
	RxEvents    atomic.Int32 // events pushed and not yet taken
	_           [4]byte
	Drained     RunHead // the event RunDrained
	_           [16]byte

	// What senders and shards know of all send queues together (bounds.go).
	TxMemory   atomic.Int64  // bytes of their blocks from ClassSmall on, and of bodies that are not copied
	TxRefusals atomic.Uint32 // sessions with MarkRefused
	TxStarved  atomic.Uint32 // not 0: a message for an empty queue was refused because of TxTotal
	TxHeld     atomic.Int32  // held queues
	_          [4]byte
	TxCasts    atomic.Int64   // of TxMemory, messages for many peers (cast.go)
	TxJoin     unsafe.Pointer // *Cast that takes more messages, or nil; under castLock
	_          [24]byte

	InlineMask  uint64 // Mask of the table that a small socket starts with
	InlineSlots [inlineTable]atomic.Pointer[Session]
	_           [24]byte
}

// inlineTable is the number of slots of a socket's first routing table.
const inlineTable = 4

// Phases of the two-frame mode, and a value for the other mode.
//
//capi:const ZL
const (
	PhaseID    = 0 // the next frame is a routing id
	PhaseBody  = 1 // the next frame is a body
	PhaseRetry = 2 // sending: a body got EAGAIN or EINTR, and the caller repeats it without SNDMORE
	PhaseFast  = 3 // the only value in the mode of one call for one message
)

// Wakeup is the part of a shard that its callers see.
//
//capi:struct zl_wakeup
type Wakeup struct {
	Dirty  Inbox // sessions to flush; asleep while the driver waits in the kernel
	Driver atomic.Uint32
	WakeFd int32 // an eventfd: a write ends the driver's sleep
	_      [48]byte
}
