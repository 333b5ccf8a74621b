// SPDX-License-Identifier: MPL-2.0

package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/smartystreets/goconvey/convey"
)

func none(string) (string, bool) { return "", false }

func TestSettings(t *testing.T) {
	Convey("The command line counts before the environment, and that before the file", t, func() {
		file := filepath.Join(t.TempDir(), "gateway.conf")
		noError(os.WriteFile(file, []byte("# settings\nlisten = any://:1\nlisten = ws://:2/a=b\n service=file \nname = file\ndrain = 1s\nroute=/a=b\n"), 0o600))
		around := map[string]string{"ZLINK_GATEWAY_CONFIG": file, "ZLINK_GATEWAY_NAME": "around", "ZLINK_GATEWAY_DRAIN": "2s", "ZLINK_GATEWAY_NATS": "nats://a,nats://b"}
		c, _, err := Parse([]string{"--drain", "3s", "-idle=0s"}, func(name string) (string, bool) { value, has := around[name]; return value, has }, os.Stdout)
		So(err, ShouldBeNil)
		So(c.Listen, ShouldResemble, []string{"any://:1", "ws://:2/a=b"})
		So(c.Service, ShouldEqual, "file")
		So(c.Name, ShouldEqual, "around")
		So(c.Drain, ShouldEqual, 3*time.Second)
		So(c.NATS, ShouldResemble, []string{"nats://a", "nats://b"})
		So(c.Routes, ShouldResemble, []Route{{"/a", "b"}})
		So(*c.Idle, ShouldEqual, time.Duration(0))
		So(c.MaxConnections == nil, ShouldBeTrue)
	})
	Convey("What is wrong is a sentence", t, func() {
		file := filepath.Join(t.TempDir(), "gateway.conf")
		noError(os.WriteFile(file, []byte("listen = any://:1\nlissen = any://:2\n"), 0o600))
		for line, sentence := range map[string]string{
			"":                                                     "--listen is missing",
			"--listen 7000":                                        "--listen 7000 is no endpoint",
			"--listen udp://:1":                                    "there is no transport udp",
			"--listen tcp://:1":                                    "needs --framing length",
			"--listen wss://:1":                                    "needs --tls-cert and --tls-key",
			"--listen any://:1 --name a.b":                         `--name "a.b"`,
			"--listen any://:1 --service *":                        `--service "*"`,
			"--listen any://:1 --route a=b":                        "--route a=b",
			"--listen any://:1 --route a":                          `--route "a": it is a path, =, and a service`,
			"--listen any://:1 --auth maybe":                       "--auth maybe: it is none, request or message",
			"--listen any://:1 --jwt-key /x":                       "--jwt-key needs --auth",
			"--listen any://:1 --slow down":                        "--slow down: it is one of cut, drop-newest, drop-oldest, refuse",
			"--listen any://:1 --drain soon":                       `--drain "soon": it is a time such as 500ms`,
			"--listen any://:1 --drain -1s":                        "it is a time",
			"--listen any://:1 --idle x":                           "it is a time",
			"--listen any://:1 --send-bytes x":                     "it is a number",
			"--listen any://:1 --presence yes":                     "it is on or off",
			"--listen any://:1 --bundle maybe":                     "--bundle maybe: it is auto, on or off",
			"--listen any://:1 --max-message 0":                    "--max-message 0",
			"--listen any://:1 --max-message 99999999":             "--max-message 99999999",
			"--listen any://:1 --nats-pending 5":                   "--nats-pending 5 is less than one message",
			"--listen any://:1 --nats ws://u:secret@a":             "--nats ws://…@a: it begins with nats:// or tls://",
			"--listen any://:1 --nats-listen :4222":                "lets other machines in",
			"--listen any://:1 --nats-listen here":                 "--nats-listen here is no address",
			"--listen any://:1 --metrics here":                     "--metrics here is no address",
			"--listen any://:1 --tls-cert /x":                      "--tls-cert and --tls-key need each other",
			"--listen any://:1 --nats nats://a --nats-creds /none": "--nats-creds /none cannot be read",
			"--listen any://:1 --takeover /run/x":                  "--takeover needs --nats",
			"--listen any://:1 --config /none":                     "--config /none cannot be read",
			"--config " + file:                                     "line 2 of " + file + ": there is no setting lissen",
			"--listen any://:1 here":                               "here is no flag",
			"--lissen any://:1":                                    "flag provided but not defined: -lissen",
			"--listen any://:1 --auth request --jwt-key " + file:   "a secret has at least 32 bytes",
		} {
			if strings.Contains(sentence, "32 bytes") {
				noError(os.WriteFile(file+"2", []byte("short"), 0o600))
				line = strings.ReplaceAll(line, file, file+"2")
			}
			_, _, err := Parse(strings.Fields(line), none, os.Stdout)
			So(err, ShouldNotBeNil)
			So(err.Error(), ShouldContainSubstring, sentence)
		}
		var usage strings.Builder
		_, _, err := Parse([]string{"--help"}, none, &usage)
		So(err, ShouldEqual, ErrHelp)
		page := string(must(os.ReadFile("README.md")))
		for _, s := range settings {
			So(usage.String(), ShouldContainSubstring, "--"+s.name+" ")
			So(page, ShouldContainSubstring, "`--"+s.name)
		}
	})
	Convey("A start that cannot be says why", t, func() {
		_, err := Start(small(func(c *Config) { c.NATS = []string{"nats://user:secret@127.0.0.1:1"} }))
		So(err, ShouldNotBeNil)
		So(err.Error(), ShouldStartWith, "cannot connect to NATS at nats://…@127.0.0.1:1")
		var mu sync.Mutex
		var said []string
		_, err = Start(small(func(c *Config) {
			c.Listen = []string{"any://192.0.2.1:7"}
			c.Log = func(sentence string) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, sentence)
			}
		}))
		So(err, ShouldNotBeNil)
		mu.Lock()
		So(said, ShouldBeEmpty) // connections that it ends itself are not lost
		mu.Unlock()
		So(err.Error(), ShouldStartWith, "cannot listen at any://192.0.2.1:7")
		_, err = Start(small(func(c *Config) { c.Properties = "Shoe-Size" }))
		So(err, ShouldNotBeNil)
		So(err.Error(), ShouldContainSubstring, "Shoe-Size")
	})
}
