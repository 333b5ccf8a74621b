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
	return flag.Int(flagName(env), value, usage)
}

// Text is the same for a setting that is no number.
func Text(env, usage, value string) *string {
	if text := os.Getenv(env); text != "" {
		value = text
	}
	return flag.String(flagName(env), value, usage)
}

func flagName(env string) string {
	return strings.ToLower(strings.ReplaceAll(env, "_", "-"))
}
