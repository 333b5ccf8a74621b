// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/smartystreets/goconvey/convey"
)

const someSamples = `seconds,phase,connections,server_kb,client_kb,kernel_kb,pongs,ping_p50_ms,ping_p99_ms,published
0.50,connect,400,14000,2000,9000,0,0.000,0.000,0
1.00,connect,2000,16000,2400,18000,0,0.000,0.000,0
1.50,pings,2000,16000,2400,18000,20,0.200,0.900,0
2.00,publish,2000,16500,2400,18100,18,0.250,2.100,2000
`

const someResults = `name,value,goal,met
transport_is_ws,0,0,
connections,2000,0,
user_kb_per_connection,0.82,0.9,met
ping_p99_ms_alone,86.5,50,missed
`

func TestScale(t *testing.T) {
	Convey("A run with very many connections", t, func() {
		dir := t.TempDir()
		write := func(transport, name, text string) {
			So(os.MkdirAll(filepath.Join(dir, transport), 0o700), ShouldBeNil)
			So(os.WriteFile(filepath.Join(dir, transport, name), []byte(text), 0o600), ShouldBeNil)
		}
		run := func() error { return command{name: "scale", dir: dir}.run(os.Stdout) }
		Convey("is a page with four charts for each transport, and the goals", func() {
			for _, transport := range []string{"tcp", "ws"} {
				write(transport, "samples.csv", someSamples)
				write(transport, "result.csv", someResults)
			}
			So(run(), ShouldBeNil)
			text, err := os.ReadFile(filepath.Join(dir, "report.html"))
			So(err, ShouldBeNil)
			empty, charts := emptyCharts(string(text))
			So(empty, ShouldBeEmpty)
			So(charts, ShouldEqual, 8)
			So(string(text), ShouldContainSubstring, `<td>user kb per connection</td><td>0.82</td><td>0.9</td><td class="PASS">met</td>`)
			So(string(text), ShouldContainSubstring, `<td class="FAIL">missed</td>`)
			So(string(text), ShouldContainSubstring, "connect from 0.50 s, pings from 1.50 s, publish from 2.00 s")
		})
		Convey("has points only where there were pings", func() {
			write("tcp", "samples.csv", someSamples)
			write("tcp", "result.csv", someResults)
			r, err := readScale(dir, "tcp")
			So(err, ShouldBeNil)
			var marks []int
			for _, c := range r.Charts {
				marks = append(marks, c.Marks)
			}
			So(marks, ShouldResemble, []int{4, 12, 4, 4})
		})
		Convey("without files, or with half of them, is an error", func() {
			So(run(), ShouldBeError)
			write("tcp", "result.csv", someResults)
			So(run(), ShouldBeError)
			write("tcp", "samples.csv", "seconds\n")
			So(run(), ShouldBeError)
			write("tcp", "samples.csv", someSamples+"x,end,1,1,1,1,1,1,1,1\n")
			So(run(), ShouldBeError)
		})
	})
}
