module github.com/zlink/zlink

go 1.26.0

require (
	github.com/smartystreets/goconvey v1.8.1 // indirect
	golang.org/x/mod v0.9.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/tools v0.7.0 // indirect
)
