// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"

	. "github.com/smartystreets/goconvey/convey"

	"github.com/zlink/zlink/core/shm"
)

// structs are the shared structures by their C names.
var structs = map[string]reflect.Type{
	"zl_run_head": reflect.TypeFor[shm.RunHead](),
	"zl_run":      reflect.TypeFor[shm.Run](),
	"zl_slab":     reflect.TypeFor[shm.Slab](),
	"zl_chunk":    reflect.TypeFor[shm.Chunk](),
	"zl_session":  reflect.TypeFor[shm.Session](),
	"zl_queues":   reflect.TypeFor[shm.Queues](),
	"zl_wakeup":   reflect.TypeFor[shm.Wakeup](),
	"zl_pool":     reflect.TypeFor[shm.Pool](),
	"zl_table":    reflect.TypeFor[shm.Table](),
}

// renamed are the fields whose C name is not the Go name in snake_case.
var renamed = map[string]string{
	"zl_slab.Class":    "class_",
	"zl_chunk.Class":   "class_",
	"zl_queues.Inline": "inline_mask",
}

// constants are those of the C enum and what they have to be.
var constants = map[string]int{
	"ZL_HEADER_SIZE":      shm.HeaderSize,
	"ZL_CLASS_TINY":       shm.ClassTiny,
	"ZL_CLASS_SMALL":      shm.ClassSmall,
	"ZL_CLASS_MID":        shm.ClassMid,
	"ZL_CLASS_LARGE":      shm.ClassLarge,
	"ZL_CLASS_SLAB":       shm.ClassSlab,
	"ZL_MAX_VIEW_SLABS":   shm.MaxViewSlabs,
	"ZL_PHASE_FAST":       shm.PhaseFast,
	"ZL_CLASS_DEDICATED":  shm.ClassDedicated,
	"ZL_TINY_CAP":         shm.TinyChunkSize - shm.HeaderSize,
	"ZL_SMALL_CAP":        shm.SmallChunkSize - shm.HeaderSize,
	"ZL_MID_CAP":          shm.MidChunkSize - shm.HeaderSize,
	"ZL_LARGE_CAP":        shm.LargeChunkSize - shm.HeaderSize,
	"ZL_RUN_DATA":         shm.RunData,
	"ZL_RUN_CONNECTED":    shm.RunConnected,
	"ZL_RUN_DISCONNECTED": shm.RunDisconnected,
	"ZL_DOWN_REASON":      shm.DownReason,
	"ZL_TX_OPEN":          shm.TxOpen,
	"ZL_DIRTY_LISTED":     shm.DirtyListed,
	"ZL_DIRTY_HELD":       shm.DirtyHeld,
	"ZL_DRIVER_NONE":      shm.DriverNone,
	"ZL_PHASE_ID":         shm.PhaseID,
	"ZL_PHASE_BODY":       shm.PhaseBody,
}

// snake turns TxHwm into tx_hwm; capitals and digits in a row stay together.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) ||
			i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// fields returns the offsets of the fields that both sides have, by C name.
func fields(cName string, t reflect.Type) map[string]uintptr {
	all := map[string]uintptr{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		name, ok := renamed[cName+"."+f.Name]
		if !ok {
			name = snake(f.Name)
		}
		all[name] = f.Offset
	}
	if cName == "zl_table" {
		all["slots"] = t.Size() // they follow the Go struct
	}
	return all
}

// assertions returns a C file that compiles only when the layouts agree.
func assertions(offset func(cName, field string, goOffset uintptr) uintptr) string {
	var b strings.Builder
	b.WriteString("#include \"layout.h\"\n")
	assert := func(condition string) {
		fmt.Fprintf(&b, "_Static_assert (%s, %q);\n", condition, condition)
	}
	for cName, t := range structs {
		for name, at := range fields(cName, t) {
			assert(fmt.Sprintf("offsetof (%s, %s) == %d", cName, name, offset(cName, name, at)))
			if size := fieldSize(cName, name, t); size > 0 {
				assert(fmt.Sprintf("sizeof (((%s *) 0)->%s) == %d", cName, name, size))
			}
		}
		if cName != "zl_table" { // as long as its mask says
			assert(fmt.Sprintf("sizeof (%s) == %d", cName, t.Size()))
			assert(fmt.Sprintf("_Alignof (%s) == %d", cName, t.Align()))
		}
	}
	assert(fmt.Sprintf("sizeof (zl_inbox) == %d", reflect.TypeFor[shm.Inbox]().Size()))
	for name, value := range constants {
		assert(fmt.Sprintf("%s == %d", name, value))
	}
	return b.String()
}

// fieldSize is 0 for the slots of a table, an array without a length in C.
func fieldSize(cName, name string, t reflect.Type) uintptr {
	if cName == "zl_table" && name == "slots" {
		return 0
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if r := renamed[cName+"."+f.Name]; r == name || r == "" && snake(f.Name) == name {
			return f.Type.Size()
		}
	}
	return 0
}

func same(_, _ string, at uintptr) uintptr { return at }

// compile checks a C file's syntax and assertions.
func compile(t *testing.T, source string) (string, error) {
	cc := strings.Fields(os.Getenv("CC"))
	if len(cc) == 0 {
		cc = []string{"gcc"}
	}
	if _, err := exec.LookPath(cc[0]); err != nil {
		t.Skip("no C compiler: " + err.Error())
	}
	path := filepath.Join(t.TempDir(), "layout_check.c")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	args := append(cc[1:], "-std=gnu11", "-fsyntax-only", "-I", here, path)
	out, err := exec.Command(cc[0], args...).CombinedOutput()
	return string(out), err
}

func TestLayout(t *testing.T) {
	Convey("C and Go agree about every offset, size and constant", t, func() {
		out, err := compile(t, assertions(same))
		So(out, ShouldBeEmpty)
		So(err, ShouldBeNil)
	})
	Convey("A wrong offset, size or constant does not compile", t, func() {
		out, err := compile(t, assertions(func(cName, field string, at uintptr) uintptr {
			if cName == "zl_session" && field == "tx_queued" {
				return at + 4
			}
			return at
		}))
		So(err, ShouldNotBeNil)
		So(out, ShouldContainSubstring, "offsetof (zl_session, tx_queued)")
		for _, wrong := range []string{"sizeof (zl_run) == 63", "ZL_TINY_CAP == 961", "offsetof (zl_run, nosuch) == 0"} {
			_, err := compile(t, assertions(same)+"_Static_assert ("+wrong+", \"\");\n")
			So(err, ShouldNotBeNil)
		}
	})
}

// structBody and constantName find what layout.h declares.
var (
	structBody   = regexp.MustCompile(`(?s)struct (zl_\w+)\s*\{(.*?)\n\}`)
	fieldName    = regexp.MustCompile(`(\w+)\s*(?:\[\w*\])?\s*;`)
	constantName = regexp.MustCompile(`\b(ZL_[A-Z_]+) =`)
)

func header(t *testing.T) string {
	text, err := os.ReadFile("layout.h")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLayoutIsComplete(t *testing.T) {
	Convey("Every struct and field of layout.h has its Go side, and vice versa", t, func() {
		found := map[string]bool{}
		for _, m := range structBody.FindAllStringSubmatch(header(t), -1) {
			cName := m[1]
			found[cName] = true
			So(structs, ShouldContainKey, cName)
			var inC, inGo []string
			for _, f := range fieldName.FindAllStringSubmatch(m[2], -1) {
				if !strings.HasPrefix(f[1], "pad") {
					inC = append(inC, f[1])
				}
			}
			goType := structs[cName]
			order := fields(cName, goType)
			for i := range goType.NumField() {
				for name, at := range order {
					if f := goType.Field(i); f.Name != "_" && at == f.Offset {
						inGo = append(inGo, name)
					}
				}
			}
			if cName == "zl_table" {
				inGo = append(inGo, "slots")
			}
			So(inC, ShouldResemble, inGo)
		}
		So(len(found), ShouldEqual, len(structs))
	})
	Convey("Every constant of layout.h is compared", t, func() {
		names := map[string]bool{}
		for _, m := range constantName.FindAllStringSubmatch(header(t), -1) {
			names[m[1]] = true
			So(constants, ShouldContainKey, m[1])
		}
		So(len(names), ShouldEqual, len(constants))
	})
}

func TestSnake(t *testing.T) {
	Convey("Go names become C names", t, func() {
		for name, want := range map[string]string{"TxHwm": "tx_hwm", "ID": "id", "IDLen": "id_len", "ID4": "id4",
			"IP": "ip", "IPKind": "ip_kind", "ExtLen": "ext_len", "head": "head", "InlineSlots": "inline_slots"} {
			So(snake(name), ShouldEqual, want)
		}
	})
}
