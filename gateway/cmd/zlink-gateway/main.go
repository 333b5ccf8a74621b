// SPDX-License-Identifier: MPL-2.0

// Program zlink-gateway joins clients of zlink to NATS. --help shows its flags.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/zlink/zlink/gateway"
)

// version is that of include/zlink.h; ./build.sh gateway sets it.
var version = "development"

func main() { os.Exit(run()) }

func run() int {
	config, orders, err := gateway.Parse(os.Args[1:], os.LookupEnv, os.Stdout)
	switch {
	case errors.Is(err, gateway.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "zlink-gateway:", err)
		return 2
	case orders.Version:
		fmt.Println("zlink-gateway", version)
		return 0
	case orders.Check:
		fmt.Println("zlink-gateway: the settings are right")
		return 0
	}
	log.SetFlags(log.LstdFlags | log.LUTC)
	config.Log = func(sentence string) { log.Print(sentence) }
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	g, err := gateway.Start(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "zlink-gateway:", err)
		return 1
	}
	log.Printf("%s serves at %s", g.Server(), strings.Join(g.Endpoints(), ", "))
	if url := g.NATS(); url != "" {
		log.Printf("NATS is at %s", url)
	}
	return serve(g, config, signals)
}

// serve waits for the end. The first signal drains, the second ends.
func serve(g *gateway.Gateway, config gateway.Config, signals chan os.Signal) int {
	code := 0
	for drains := false; ; drains = true {
		select {
		case <-g.Done():
			if err := g.Wait(); err != nil {
				log.Print(err)
				code = 1
			}
			return code
		case <-signals:
		}
		if drains {
			code = 1
			go func() { _ = g.Close() }()
			continue
		}
		log.Printf("drains for %v", config.Drain)
		if err := g.Drain(config.Drain, 0); err != nil {
			log.Print(err)
			return 1
		}
	}
}
