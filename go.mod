module github.com/zlink/zlink

go 1.26.0

toolchain go1.26.11

require (
	github.com/gobwas/ws v1.5.0
	github.com/klauspost/compress v1.20.4
	github.com/smartystreets/goconvey v1.8.1
	github.com/youmark/pkcs8 v0.0.0-20240726163527-a2c0da244d78
	golang.org/x/crypto v0.59.0
	golang.org/x/sys v0.50.0
)

require (
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gopherjs/gopherjs v1.17.2 // indirect
	github.com/jtolds/gls v4.20.0+incompatible // indirect
	github.com/smarty/assertions v1.15.0 // indirect
)
