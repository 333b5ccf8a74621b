// SPDX-License-Identifier: MPL-2.0

package errno

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestNumbers(t *testing.T) {
	Convey("The numbers are those of the system and of the header", t, func() {
		for e, number := range map[Errno]int{
			EAGAIN: 11, EINVAL: 22, ENOTSUP: 95, EPROTONOSUPPORT: 93, EADDRINUSE: 98, EHOSTUNREACH: 113,
			EFSM: 156384763, ENOCOMPATPROTO: 156384764, ETERM: 156384765, EMTHREAD: 156384766,
		} {
			So(int(e), ShouldEqual, number)
		}
	})
	Convey("Every number has a text of its own", t, func() {
		seen := map[string]Errno{}
		for _, e := range []Errno{EPERM, ENOENT, EINTR, EAGAIN, ENOMEM, EFAULT, EINVAL, ENODEV, EMFILE, EMSGSIZE,
			ENOTSUP, ENOTSOCK, EPROTONOSUPPORT, EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED, ECONNRESET, ETIMEDOUT,
			EHOSTUNREACH, EFSM, ENOCOMPATPROTO, ETERM, EMTHREAD} {
			So(e.Error(), ShouldNotBeEmpty)
			So(e.Error(), ShouldNotStartWith, "errno ")
			_, twice := seen[e.Error()]
			So(twice, ShouldBeFalse)
			seen[e.Error()] = e
		}
	})
	Convey("The library's own numbers have the same words in C", t, func() {
		source, err := os.ReadFile("../../capi/errors.c")
		So(err, ShouldBeNil)
		words := map[string]string{}
		for _, m := range regexp.MustCompile(`case (\w+):\s*return "(.*)";`).FindAllStringSubmatch(string(source), -1) {
			words[m[1]] = strings.ToLower(m[2][:1]) + m[2][1:]
		}
		So(words, ShouldResemble, map[string]string{"EFSM": EFSM.Error(), "ENOCOMPATPROTO": ENOCOMPATPROTO.Error(),
			"ETERM": ETERM.Error(), "EMTHREAD": EMTHREAD.Error()})
	})
}

func TestErrors(t *testing.T) {
	made := New(EINVAL, "option %d does not take %q", 7, "x")
	cases := []struct {
		name   string
		err    error
		number Errno
		detail string
	}{
		{"nil", nil, 0, ""},
		{"a bare number", ETERM, ETERM, ""},
		{"one with a sentence", made, EINVAL, `option 7 does not take "x"`},
		{"one wrapped twice", fmt.Errorf("a: %w", fmt.Errorf("b: %w", made)), EINVAL, `option 7 does not take "x"`},
		{"one of the system", syscall.EADDRINUSE, EADDRINUSE, ""},
		{"one of the system, wrapped", &os.SyscallError{Syscall: "bind", Err: syscall.EACCES}, Errno(syscall.EACCES), ""},
		{"one without a number", io.EOF, EFAULT, ""},
	}
	Convey("Of and Detail find what is inside", t, func() {
		for _, c := range cases {
			Convey(c.name, func() {
				So(Of(c.err), ShouldEqual, c.number)
				So(Detail(c.err), ShouldEqual, c.detail)
			})
		}
	})
	Convey("An error with a sentence works with errors.Is and As, and has a text of both", t, func() {
		So(errors.Is(made, EINVAL), ShouldBeTrue)
		So(errors.Is(made, EAGAIN), ShouldBeFalse)
		var e *Error
		So(errors.As(fmt.Errorf("wrapped: %w", made), &e), ShouldBeTrue)
		So(e.Errno, ShouldEqual, EINVAL)
		So(made.Error(), ShouldEqual, `option 7 does not take "x": invalid argument`)
	})
}
