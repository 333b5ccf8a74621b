// SPDX-License-Identifier: MPL-2.0

// Package errno gives every failure of zlink the number that C callers see in errno,
// and a sentence about what was wrong. It knows nothing of the rest of the core.
package errno

import (
	"errors"
	"fmt"
	"syscall"
)

// hausnumero is where zlink's own error numbers start (ZLINK_HAUSNUMERO).
const hausnumero = 156384712

// Errno is an error number of the system or one of zlink's own.
type Errno int

// The numbers that zlink reports. Values of the system keep their meaning.
const (
	EPERM           = Errno(syscall.EPERM)
	ENOENT          = Errno(syscall.ENOENT)
	EINTR           = Errno(syscall.EINTR)
	EAGAIN          = Errno(syscall.EAGAIN)
	ENOMEM          = Errno(syscall.ENOMEM)
	EACCES          = Errno(syscall.EACCES)
	EFAULT          = Errno(syscall.EFAULT)
	EINVAL          = Errno(syscall.EINVAL)
	ENODEV          = Errno(syscall.ENODEV)
	EMFILE          = Errno(syscall.EMFILE)
	ENAMETOOLONG    = Errno(syscall.ENAMETOOLONG)
	EMSGSIZE        = Errno(syscall.EMSGSIZE)
	EPROTO          = Errno(syscall.EPROTO)
	ENOTSUP         = Errno(syscall.ENOTSUP)
	ENOTSOCK        = Errno(syscall.ENOTSOCK)
	EPROTONOSUPPORT = Errno(syscall.EPROTONOSUPPORT)
	EADDRINUSE      = Errno(syscall.EADDRINUSE)
	EADDRNOTAVAIL   = Errno(syscall.EADDRNOTAVAIL)
	ECONNREFUSED    = Errno(syscall.ECONNREFUSED)
	ECONNRESET      = Errno(syscall.ECONNRESET)
	ETIMEDOUT       = Errno(syscall.ETIMEDOUT)
	ECANCELED       = Errno(syscall.ECANCELED)
	EHOSTUNREACH    = Errno(syscall.EHOSTUNREACH)

	EFSM           = Errno(hausnumero + 51) // not possible in this state
	ENOCOMPATPROTO = Errno(hausnumero + 52) // transport not for this socket type
	ETERM          = Errno(hausnumero + 53) // the context was shut down
	EMTHREAD       = Errno(hausnumero + 54) // no io thread available
)

// Error returns the number's text: the words of zlink_strerror (capi/errors.c).
func (e Errno) Error() string {
	switch e {
	case EFSM:
		return "operation cannot be accomplished in current state"
	case ENOCOMPATPROTO:
		return "the protocol is not compatible with the socket type"
	case ETERM:
		return "context was terminated"
	case EMTHREAD:
		return "no thread available"
	}
	return syscall.Errno(e).Error()
}

// Is makes errors.Is(err, syscall.EINVAL) work.
func (e Errno) Is(target error) bool {
	sys, ok := target.(syscall.Errno)
	return ok && e == Errno(sys)
}

// Error is an Errno with a sentence about its cause.
type Error struct {
	Errno  Errno
	Detail string
}

// Error returns the sentence and the number's text.
func (e *Error) Error() string { return e.Detail + ": " + e.Errno.Error() }

// Unwrap makes errors.Is(err, errno.EINVAL) work.
func (e *Error) Unwrap() error { return e.Errno }

// New returns an Error. Its sentence is formatted like fmt.Sprintf.
func New(e Errno, format string, args ...any) error {
	return &Error{Errno: e, Detail: fmt.Sprintf(format, args...)}
}

// Of returns the number inside err: 0 for nil, EFAULT when err carries none.
func Of(err error) Errno {
	if err == nil {
		return 0
	}
	var own Errno
	if errors.As(err, &own) {
		return own
	}
	var sys syscall.Errno
	if errors.As(err, &sys) {
		return Errno(sys)
	}
	return EFAULT
}

// Detail returns the sentence inside err, or "" when it has none.
func Detail(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return ""
}
