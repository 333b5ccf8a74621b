// SPDX-License-Identifier: MPL-2.0

// Package sys is all that zlink asks of the operating system: descriptors,
// addresses, readiness, waiting, memory and threads. It is the one package of
// the core that imports golang.org/x/sys/unix; whatever knows connections,
// messages or options is above it. Files named _linux.go are a port. Another
// system needs the same functions in files of its own, and this comment is what
// they have to do.
//
// # Three kinds of calls
//
// A prompt call returns at once, whatever the peer or other threads do. It is
// made without a word to Go's scheduler, which would cost as much as the call
// itself, so it must never sleep in the kernel. It allocates nothing. Its comment
// says "Prompt".
//
// A waiting call may sleep in the kernel. The scheduler must hear of it, or the
// processor it runs on is lost to all other goroutines, and a collection of
// garbage waits for it. Its comment says "Waits".
//
// All others are for set-up and ends. They may take as long as a file system or a
// table in the kernel does, but no peer can hold them up.
//
// # Errors
//
// The calls of the data path return an [Errno], 0 for success. All others return an
// error, which is nil or holds an Errno for errors.As. Numbers are those of POSIX,
// by the names in this file. The callers rely on these and treat every other one as
// the end of the descriptor:
//
//   - EINTR: a signal handler ran. The caller makes the call again, or returns to
//     its own caller. Calls return it; they do not repeat themselves.
//   - EAGAIN: nothing to read, no room to write, nobody to accept. A report of the
//     poller follows when that changes.
//   - ENOBUFS, ENOMEM: the kernel has no memory now. The descriptor is as before.
//
// No call raises a signal: a write to a peer that has gone returns EPIPE.
//
// # Descriptors
//
// [Socket], [Accept], [OpenEvent] and [OpenFolder] return descriptors that a
// program which this one starts does not inherit; those of connections, listeners
// and events never block. Any thread may use a descriptor; the caller sees to it
// that nobody closes it meanwhile. [Send] and [SendVectors] take as much as the
// kernel has room for and return how much that was. [Recv] returns 0 bytes without
// an error at the end of the stream.
//
// # Readiness
//
// A [Poller] reports a descriptor of [Poller.AddEdge] once for each change: after
// bytes or the end arrive, after room appears in a full send buffer, and when the
// peer's system has acknowledged the last byte of a stream that [EndStream] ended.
// Whatever changed before AddEdge is reported as well. Nothing is reported twice, so a
// caller goes on by itself until EAGAIN. A port must not report less than this, and may
// report more: a report is a hint that a call is worth making.
//
// A descriptor of [Poller.Level] is reported by every wait for as long as somebody
// is there to be accepted. [Poller.Reserve] takes what can fail of that beforehand.
// A report carries the descriptor's number and the tag it was added with, as the
// number may be another's by the time the report is read. Closing a descriptor ends
// its reports.
//
// A report says one or more of [Readable], [Writable], [Ended], [Gone] and [Failed].
// What of this a system cannot tell apart it may report together with Readable: the
// next read finds out.
//
// [Poller.Wake] ends the present wait, or else the next one, of the thread that
// waits. It is prompt, wakes one thread, and costs one system call. A C caller wakes
// through [Poller.WakeFd], by a write of 8 bytes, so that has to be a descriptor.
//
// # Waiting for memory
//
// [FutexWait] sleeps while a word of memory has a value; the look at the word and the
// beginning of the sleep are one step with regard to [FutexWake]. It may also return
// early, and the caller looks at the word again. Its word may be written by C and Go,
// and lies in memory of [Map] or of Go.
//
// [Barrier] has every running thread of the process pass a full memory barrier before
// it returns true. Where a system has nothing like it, it returns false, and the
// callers wait in short naps instead.
//
// An event descriptor ([OpenEvent]) is readable from [SetEvent] to [ClearEvent].
// Applications put it into loops of their own. It stays readable for all who wait,
// and setting it twice is the same as once.
//
// # Memory
//
// [Map] returns zeroed pages outside Go's heap that take no memory before they are
// written to. [Remap] makes a mapping longer and keeps its content; it may move.
// [Discard] gives the memory back and keeps the address: the pages read as zero or
// as before, and can be written to again. Callers count in pages of 4 KiB; where those
// of the system are larger, Discard keeps what is not a whole one. [HasRoom] looks
// ahead, as Go ends the process when its own heap finds no address space.
//
// # Threads
//
// [NameThread], [SetTimerSlack], [PinThread] and [SetPriority] are about the calling
// thread, which must be locked to its goroutine. They are wishes: where the system
// refuses, all stays as it was. [Yield] lets other threads of the processor run.
package sys

import "syscall"

// Errno is an error number of the system; 0 is success.
type Errno = syscall.Errno

// The error numbers that the core tells apart.
const (
	EACCES       = syscall.EACCES
	EADDRINUSE   = syscall.EADDRINUSE
	EAFNOSUPPORT = syscall.EAFNOSUPPORT
	EAGAIN       = syscall.EAGAIN
	ECONNABORTED = syscall.ECONNABORTED
	ECONNREFUSED = syscall.ECONNREFUSED
	ECONNRESET   = syscall.ECONNRESET
	EINPROGRESS  = syscall.EINPROGRESS
	EINTR        = syscall.EINTR
	EINVAL       = syscall.EINVAL
	EMFILE       = syscall.EMFILE
	ENAMETOOLONG = syscall.ENAMETOOLONG
	ENFILE       = syscall.ENFILE
	ENOBUFS      = syscall.ENOBUFS
	ENODEV       = syscall.ENODEV
	ENOMEM       = syscall.ENOMEM
	ENOTSOCK     = syscall.ENOTSOCK
)

// OutOfMemory reports whether the kernel refused a call for want of memory, which
// says nothing about the descriptor.
func OutOfMemory(e Errno) bool { return e == ENOBUFS || e == ENOMEM }

// Readiness is what a report says of a descriptor: one or more of the bits Readable,
// Writable, Ended, Gone and Failed.
type Readiness uint32
