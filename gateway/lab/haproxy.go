// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"strings"
	"syscall"
)

// haproxyText is the configuration of a HAProxy in front of gateways. It tells them the clients' addresses
// (PROXY, version 2) and asks each 200 ms whether they are ready, on the port of their metrics. One that drains,
// or has no NATS, answers 503 and gets no new connections; those that it has stay. Of one that is cut off,
// connections end as soon as it has not acknowledged something for a second (tcp-ut).
func haproxyText(listen, control, admin string, gateways []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `global
    maxconn %d
    hard-stop-after 20s
    stats socket %s mode 600 level admin expose-fd listeners

defaults
    mode tcp
    timeout connect 500ms
    timeout check 500ms
    timeout client 130s
    timeout server 130s
    retries 3
    option redispatch 1
    option clitcpka
    option srvtcpka

frontend clients
    bind %s
    default_backend gateways

frontend health
    mode http
    bind %s
    monitor-uri /health

backend gateways
    balance leastconn
    option httpchk GET /readyz
    default-server check port %d inter 200ms fastinter 100ms fall 2 rise 1 send-proxy-v2 tcp-ut 1s
`, connections(), admin, listen, control, metricsPort)
	for i, address := range gateways {
		fmt.Fprintf(&b, "    server g%d %s\n", i+1, address)
	}
	return b.String()
}

// connections are as many as the limit of descriptors allows: each takes two.
func connections() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1000
	}
	return int(min(20000, (limit.Max-200)/2))
}
