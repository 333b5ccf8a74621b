module github.com/zlink/zlink

go 1.26.0

require (
	github.com/smartystreets/goconvey v1.8.1
	golang.org/x/sys v0.49.0
)

require (
	github.com/gopherjs/gopherjs v1.17.2 // indirect
	github.com/jtolds/gls v4.20.0+incompatible // indirect
	github.com/smarty/assertions v1.15.0 // indirect
)
