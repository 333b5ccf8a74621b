// A module of its own: the library's has no use for what draws the charts.
module github.com/zlink/zlink/tests/scenario/stream/report

go 1.26.0

require (
	github.com/go-echarts/go-echarts/v2 v2.6.7
	github.com/smartystreets/goconvey v1.8.1
)

require (
	github.com/gopherjs/gopherjs v1.17.2 // indirect
	github.com/jtolds/gls v4.20.0+incompatible // indirect
	github.com/smarty/assertions v1.15.0 // indirect
)
