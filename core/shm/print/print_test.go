// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

const root = "../../.."

func TestPrintedFilesAreUpToDate(t *testing.T) {
	Convey("What capi has is what `go generate ./...` prints now", t, func() {
		files, err := render(root)
		So(err, ShouldBeNil)
		for path, text := range files {
			has, err := os.ReadFile(filepath.Join(root, path))
			So(err, ShouldBeNil)
			So(string(has), ShouldEqual, string(text))
		}
		So(len(files), ShouldEqual, 3)
	})
}

// loadText is load of a package with this source.
func loadText(t *testing.T, text string) (*source, error) {
	dir := t.TempDir()
	So(os.WriteFile(filepath.Join(dir, "a.go"), []byte("package a\n\n"+text), 0o600), ShouldBeNil)
	return load(dir, ".")
}

func TestPrinting(t *testing.T) {
	Convey("A struct becomes one of C, with its comments, and asserts its layout", t, func() {
		s, err := loadText(t, `import ("sync/atomic"; "unsafe")

// Node is one.
//
//capi:struct zl_node
type Node struct {
	Next  unsafe.Pointer
	Count atomic.Int32 // of users
	_     [4]byte

	// In front of it.
	Before *Node
	Class  uint8
	Rest   [0]atomic.Pointer[Node]
}

// Bits of nothing.
//
//capi:const ZL
const (
	OneBit  = 1 << 4 // alone
	AnyBits = OneBit | 1
	allOfID = 1<<40 - 1
)
`)
		So(err, ShouldBeNil)
		text, err := header{file: "capi/a.h", from: []string{"a"}}.print([]*source{s})
		So(err, ShouldBeNil)
		So(string(text), ShouldContainSubstring, `
/* Bits of nothing. */
enum
{
    ZL_ONE_BIT = 1 << 4, /* alone */
    ZL_ANY_BITS = 17,
};
#define ZL_ALL_OF_ID UINT64_C (0xffffffffff)

typedef struct zl_node zl_node;

/* Node is one. */
struct zl_node
{
    _Atomic (void *) next;
    _Atomic int32_t count; /* of users */
    uint8_t pad0[4];

    /* In front of it. */
    zl_node *before;
    uint8_t class_;
    _Atomic (zl_node *) rest[];
};
ZL_AT (zl_node, next, 0, 8);
ZL_AT (zl_node, count, 8, 4);
ZL_AT (zl_node, before, 16, 8);
ZL_AT (zl_node, class_, 24, 1);
_Static_assert (offsetof (zl_node, rest) == 32, "zl_node.rest");
`)
	})
	Convey("What C cannot have is refused", t, func() {
		for _, field := range []string{"string", "[]int", "map[int]int", "func()", "other.Thing", "Missing"} {
			_, err := loadText(t, "import \"example.org/other\"\n\n//capi:struct zl_a\ntype A struct { B "+field+" }\n")
			So(err, ShouldNotBeNil)
			So(err.Error(), ShouldStartWith, "A: ")
		}
		for _, value := range []string{`"text"`, "-1", "1.5", "other.Thing"} {
			s, err := loadText(t, "import \"example.org/other\"\n\n//capi:const ZL\nconst A = "+value+"\n")
			So(err, ShouldBeNil)
			_, err = header{}.print([]*source{s})
			So(err, ShouldNotBeNil)
		}
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
