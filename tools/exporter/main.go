// SPDX-License-Identifier: MPL-2.0

// Zlink-exporter gives the statistics of servers to Prometheus, from the local sockets of
// zlink_ctx_set_admin. doc/operate.md describes it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const usage = `usage: zlink-exporter [--listen ADDRESS] FILE...
  FILE is what a program has given to zlink_ctx_set_admin, or SetAdmin in Go; each becomes a label
  --listen ADDRESS   where Prometheus asks for /metrics (127.0.0.1:9464)
`

func main() {
	flags := flag.NewFlagSet("zlink-exporter", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	address := flags.String("listen", "127.0.0.1:9464", "")
	err := flags.Parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil || flags.NArg() == 0 {
		if err == nil {
			flags.Usage()
		}
		os.Exit(2)
	}
	if err := checkFiles(flags.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "zlink-exporter:", err)
		os.Exit(2)
	}
	server := &http.Server{Addr: *address, Handler: handler(flags.Args()), ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, "zlink-exporter:", server.ListenAndServe())
	os.Exit(1)
}

// checkFiles reports what no label can be made of.
func checkFiles(files []string) error {
	named := map[string]bool{}
	for _, file := range files {
		switch {
		case !utf8.ValidString(file):
			return fmt.Errorf("%q is not UTF-8, and a label of Prometheus has to be", file)
		case named[file]:
			return fmt.Errorf("%s is named twice", file)
		}
		named[file] = true
	}
	return nil
}

// start is the page that a person finds who leaves out the path.
const start = `<!doctype html><title>zlink-exporter</title><p>zlink-exporter: <a href="/metrics">metrics</a>
`

// handler answers Prometheus at /metrics.
func handler(files []string) http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(files))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4,
		ErrorHandling:       promhttp.ContinueOnError, // a server with an impossible report costs the others nothing
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, start) // whoever has gone reads nothing
	})
	return mux
}
