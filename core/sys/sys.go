// SPDX-License-Identifier: MPL-2.0

// Package sys holds everything that zlink asks of the operating system: descriptors,
// addresses, readiness, waiting, memory and threads. No other package of the core
// imports golang.org/x/sys/unix. It knows nothing of connections, messages or options.
// The files named _linux.go are a port. A port to another system needs the same
// functions in files of its own; this comment says what they must do.
//
// # Three kinds of calls
//
// A prompt call returns at once, whatever the peer or other threads do. Go's scheduler
// does not learn of it, because telling it would cost as much as the call itself. A
// prompt call must therefore never sleep in the kernel. It allocates nothing. Its comment
// says "Prompt".
//
// A waiting call may sleep in the kernel. The scheduler must learn of it. Otherwise the
// goroutines lose a processor, and a garbage collection has to wait. Its comment says
// "Waits".
//
// All other calls set something up or end it. They may take as long as the file system or
// a table in the kernel does, but no peer can delay them.
//
// # Errors
//
// The calls of the data path return an [Errno], 0 for success. All others return an
// error, which is nil or holds an Errno for errors.As. The numbers are those of POSIX,
// by the names in this file. Callers distinguish the following numbers and treat any
// other as the end of the descriptor:
//
//   - EINTR: a signal handler ran. A call returns it and does not repeat itself. The
//     caller repeats the call, or returns to its own caller.
//   - EAGAIN: nothing to read, no room to write, nobody to accept. The poller reports
//     when that changes.
//   - EPIPE: a write to a peer that has ended its stream and takes no more.
//   - ENOBUFS, ENOMEM: the kernel has no memory now. The descriptor is unchanged.
//
// No call raises a signal: writing to a peer that has gone returns EPIPE.
//
// # Descriptors
//
// [Socket], [Accept], [OpenEvent] and [OpenFolder] return descriptors that the programs
// started by this one do not inherit. The descriptors of connections, listeners and events
// never block. Any thread may use a descriptor; the caller makes sure that nobody closes
// it meanwhile. [Send] and [SendVectors] write as much as the kernel has room for and
// return the number of bytes. [Recv] returns 0 bytes without an error at the end of the
// stream.
//
// # Readiness
//
// A [Poller] reports a descriptor of [Poller.AddEdge] once for each change: after
// bytes or the end arrive, after room appears in a full send buffer, and when the
// peer's system has acknowledged the last byte of a stream that [EndStream] ended.
// It also reports changes from before AddEdge. It reports nothing twice, so a caller
// repeats its calls until EAGAIN. A port may report more than this, but not less: a
// report is a hint that a call may succeed.
//
// Every wait reports a descriptor of [Poller.Level] as long as somebody waits to be
// accepted. [Poller.Reserve] does beforehand the part that can fail. A report carries the
// descriptor's number and the tag that it was added with: by the time the report is read,
// another descriptor may have the number. Closing a descriptor ends its reports.
//
// A report says one or more of [Readable], [Writable], [Ended], [Gone] and [Failed].
// If a system cannot tell some of these apart, it may add Readable: the next read finds
// out.
//
// [Poller.Wake] ends the current wait of the waiting thread, or else its next one. It is
// prompt, wakes one thread, and costs one system call. A C caller wakes the thread by
// writing 8 bytes to [Poller.WakeFd], which therefore has to be a descriptor.
//
// # Waiting for memory
//
// [FutexWait] sleeps while a word of memory has a value. With regard to [FutexWake],
// reading the word and starting to sleep are one step. FutexWait may return early, so the
// caller reads the word again. C and Go may write the word, which lies in memory of [Map]
// or of Go. [FutexWaitLong] is for those who sleep long: it gives the thread's processor to
// Go's scheduler before it sleeps. A port that cannot do that uses FutexWait.
//
// [Barrier] makes every running thread of the process pass a full memory barrier, and
// then returns true. A system that has nothing like it returns false, and the callers
// sleep in short naps instead.
//
// An event descriptor ([OpenEvent]) is readable from [SetEvent] to [ClearEvent].
// Applications put it into their own event loops. It stays readable for everyone who
// waits. Setting it twice is the same as once.
//
// # Memory
//
// [Map] returns zeroed pages outside Go's heap. They take no memory until somebody writes
// to them. [Remap] enlarges a mapping and keeps its content; the mapping may move.
// [Discard] frees the memory and keeps the address: the pages read as zero or as before,
// and can be written to again. Callers count in pages of 4 KiB. If the system's pages are
// larger, Discard keeps incomplete ones. [HasRoom] looks ahead, because Go ends the
// process when its heap finds no address space.
//
// # Threads
//
// [NameThread], [SetTimerSlack], [PinThread] and [SetPriority] change the calling
// thread, which must be locked to its goroutine. They are wishes: if the system
// refuses, nothing changes. [Yield] lets other threads of the processor run.
// [ThreadID] is the number of the calling thread.
package sys

import "syscall"

// Errno is an error number of the system; 0 is success.
type Errno = syscall.Errno

// The error numbers that the core distinguishes.
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
	EPIPE        = syscall.EPIPE
)

// OutOfMemory reports whether a call failed because the kernel lacked memory. That says
// nothing about the descriptor.
func OutOfMemory(e Errno) bool { return e == ENOBUFS || e == ENOMEM }

// Readiness is the content of a report: one or more of the bits Readable, Writable, Ended,
// Gone and Failed.
type Readiness uint32
