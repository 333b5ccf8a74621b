// SPDX-License-Identifier: MPL-2.0

// Package goserver is what the scenario servers in Go share: their settings.
package goserver

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Setting is a flag whose default an environment variable may replace. It ends
// the program with code 2 when the variable holds no number.
func Setting(env, usage string, value int) *int {
	if text, ok := os.LookupEnv(env); ok {
		number, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s is a number, not %q\n", env, text)
			os.Exit(2)
		}
		value = int(number)
	}
	return flag.Int(strings.ToLower(strings.ReplaceAll(env, "_", "-")), value, usage)
}
