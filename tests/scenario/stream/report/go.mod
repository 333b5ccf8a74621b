// A module of its own: the library's has no use for what draws the charts.
module github.com/zlink/zlink/tests/scenario/stream/report

go 1.26.0

require github.com/go-echarts/go-echarts/v2 v2.6.7
