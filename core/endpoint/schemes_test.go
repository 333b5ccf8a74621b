// SPDX-License-Identifier: MPL-2.0

package endpoint

import (
	"slices"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

func TestSchemes(t *testing.T) {
	Convey("Every transport is found by its name, and an endpoint says its name", t, func() {
		for _, s := range Schemes() {
			So(schemeOf(s.Name), ShouldEqual, s)
			So(s.String(), ShouldEqual, s.Name)
			address := "1.2.3.4:5"
			if s.Address == File {
				address = "/a/b"
			}
			ep, err := Parse(s.Name + "://" + address)
			So(err, ShouldBeNil)
			So(ep.Scheme, ShouldEqual, s)
			So(ep.String(), ShouldEqual, s.Name+"://"+address)
		}
	})
	Convey("What HTTP carries has the port that HTTP leaves out", t, func() {
		for _, s := range Schemes() {
			So(s.DefaultPort != 0, ShouldEqual, slices.Contains(s.Layers, LayerWeb) && !s.Choice)
		}
	})
}
