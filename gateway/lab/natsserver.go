// SPDX-License-Identifier: MPL-2.0

package main

import (
	"flag"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
)

// runNATS is the stock nats-server with its own flags.
func runNATS(arguments []string) error {
	flags := flag.NewFlagSet("nats", flag.ContinueOnError)
	options, err := server.ConfigureOptions(flags, arguments, server.PrintServerAndExit, flags.Usage, server.PrintTLSHelpAndDie)
	if err != nil {
		return err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("nats-server: %w", err)
	}
	s.ConfigureLogger()
	if err := server.Run(s); err != nil {
		return err
	}
	s.WaitForShutdown()
	return nil
}
