// SPDX-License-Identifier: MPL-2.0

package stream

import "strconv"

// optionNames are the options as C and the documents call them, without ZLINK_.
var optionNames = map[Option]string{
	OptAffinity:         "AFFINITY",
	OptRoutingID:        "ROUTING_ID",
	OptRate:             "RATE",
	OptRecoveryIvl:      "RECOVERY_IVL",
	OptSndBuf:           "SNDBUF",
	OptRcvBuf:           "RCVBUF",
	OptRcvMore:          "RCVMORE",
	OptFd:               "FD",
	OptEvents:           "EVENTS",
	OptType:             "TYPE",
	OptLinger:           "LINGER",
	OptReconnectIvl:     "RECONNECT_IVL",
	OptBacklog:          "BACKLOG",
	OptReconnectIvlMax:  "RECONNECT_IVL_MAX",
	OptMaxMsgSize:       "MAXMSGSIZE",
	OptSndHwm:           "SNDHWM",
	OptRcvHwm:           "RCVHWM",
	OptMulticastHops:    "MULTICAST_HOPS",
	OptRcvTimeo:         "RCVTIMEO",
	OptSndTimeo:         "SNDTIMEO",
	OptLastEndpoint:     "LAST_ENDPOINT",
	OptKeepAlive:        "TCP_KEEPALIVE",
	OptKeepAliveCnt:     "TCP_KEEPALIVE_CNT",
	OptKeepAliveIdle:    "TCP_KEEPALIVE_IDLE",
	OptKeepAliveIntvl:   "TCP_KEEPALIVE_INTVL",
	OptImmediate:        "IMMEDIATE",
	OptIPv6:             "IPV6",
	OptConflate:         "CONFLATE",
	OptTOS:              "TOS",
	OptConnectRoutingID: "CONNECT_ROUTING_ID",
	OptHandshakeIvl:     "HANDSHAKE_IVL",
	OptInvertMatching:   "INVERT_MATCHING",
	OptHeartbeatIvl:     "HEARTBEAT_IVL",
	OptHeartbeatTTL:     "HEARTBEAT_TTL",
	OptHeartbeatTimeout: "HEARTBEAT_TIMEOUT",
	OptConnectTimeout:   "CONNECT_TIMEOUT",
	OptMaxRT:            "TCP_MAXRT",
	OptMulticastMaxTPDU: "MULTICAST_MAXTPDU",
	OptUseFd:            "USE_FD",
	OptRequestTimeout:   "REQUEST_TIMEOUT",
	OptRequestCorrelate: "REQUEST_CORRELATE",
	OptBindToDevice:     "BINDTODEVICE",
	OptTLSCert:          "TLS_CERT",
	OptTLSKey:           "TLS_KEY",
	OptTLSCA:            "TLS_CA",
	OptTLSVerify:        "TLS_VERIFY",
	OptTLSClientCert:    "TLS_REQUIRE_CLIENT_CERT",
	OptTLSHostname:      "TLS_HOSTNAME",
	OptTLSTrustSystem:   "TLS_TRUST_SYSTEM",
	OptTLSPassword:      "TLS_PASSWORD",
	OptZMPMetadata:      "ZMP_METADATA",
	OptMode:             "STREAM_MODE",
	OptCloseTimeout:     "STREAM_CLOSE_TIMEOUT",
	OptHeaderMax:        "STREAM_HEADER_MAX",
	OptTLSCiphers:       "TLS_CIPHERS",
}

// String returns the option's name in C without ZLINK_, or its number.
func (opt Option) String() string {
	if name, ok := optionNames[opt]; ok {
		return name
	}
	return strconv.Itoa(int(opt))
}
