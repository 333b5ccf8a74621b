// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

const root = "../.."

func TestPicturesAreThoseOfTheTree(t *testing.T) {
	Convey("Every picture is what its source draws; if not: go generate ./doc/draw", t, func() {
		all, err := pictures(root)
		So(err, ShouldBeNil)
		for name, c := range all {
			text, err := os.ReadFile(filepath.Join(root, name))
			So(err, ShouldBeNil)
			So(string(text) == c.svg(), ShouldBeTrue)
		}
	})
}

func TestNothingCoversSomethingElse(t *testing.T) {
	Convey("In every picture nothing covers or leaves something else", t, func() {
		all, err := pictures(root)
		So(err, ShouldBeNil)
		for _, c := range all {
			So(c.coveredBoxes(), ShouldBeEmpty)
			So(c.coveredTexts(), ShouldBeEmpty)
		}
	})
}

func (c *canvas) coveredBoxes() (bad []string) {
	for i, a := range c.boxes {
		for _, b := range c.boxes[i+1:] {
			if a.meets(b) {
				bad = append(bad, fmt.Sprintf("box %q covers box %q", a.what, b.what))
			}
		}
	}
	return bad
}

func (c *canvas) coveredTexts() (bad []string) {
	say := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	for i, a := range c.texts {
		if !(area{0, 0, c.width, c.height, ""}).holds(a) {
			say("%q is outside", a.what)
		}
		for _, b := range c.texts[i+1:] {
			if a.meets(b) {
				say("%q covers %q", a.what, b.what)
			}
		}
		for _, b := range c.boxes {
			if a.meets(b) && !b.holds(a) {
				say("%q does not fit the box %q", a.what, b.what)
			}
		}
		for _, l := range c.lines {
			if a.meets(l.area()) {
				say("an arrow crosses %q", a.what)
			}
		}
	}
	return bad
}

// meets reports whether two areas have a part in common.
func (a area) meets(b area) bool {
	return a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h
}

// holds reports whether b is inside.
func (a area) holds(b area) bool {
	return a.x <= b.x && b.x+b.w <= a.x+a.w && a.y <= b.y && b.y+b.h <= a.y+a.h
}

// area is the smallest one around a segment.
func (l segment) area() area {
	return area{min(l.x1, l.x2), min(l.y1, l.y2), max(1, max(l.x1, l.x2)-min(l.x1, l.x2)), max(1, max(l.y1, l.y2)-min(l.y1, l.y2)), ""}
}

func TestPackagesThatAreMissingOrTurnedRoundAreErrors(t *testing.T) {
	whole := func() graph {
		g := graph{}
		for _, floor := range house {
			for _, r := range floor {
				g[r.folder] = []string{}
			}
		}
		return g
	}
	Convey("The tree's packages are those of the picture, and import downwards", t, func() {
		So(check(whole()), ShouldBeNil)
		more := whole()
		more["core/new"] = []string{}
		So(check(more).Error(), ShouldContainSubstring, "core/new is missing")
		less := whole()
		delete(less, "core/shm")
		So(check(less).Error(), ShouldContainSubstring, "no package core/shm")
		round := whole()
		round["core/shm"] = []string{"core/engine"}
		So(check(round).Error(), ShouldContainSubstring, "core/shm imports core/engine")
	})
	Convey("An import that follows from others is left out", t, func() {
		g := graph{"a": {"b", "c"}, "b": {"c"}, "c": {}}
		So(g.direct("a"), ShouldResemble, []string{"b"})
		So(g.direct("b"), ShouldResemble, []string{"c"})
	})
}
