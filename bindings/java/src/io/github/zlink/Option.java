// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

/** Options of sockets, as zlink.h has them without ZLINK_ and STREAM_; doc/options.md has meaning and range of each. */
public enum Option {
    AFFINITY(4, Kind.WIDE),
    ROUTING_ID(5, Kind.TEXT),
    SNDBUF(11),
    RCVBUF(12),
    FD(14),
    EVENTS(15),
    TYPE(16),
    LINGER(17),
    RECONNECT_IVL(18),
    BACKLOG(19),
    RECONNECT_IVL_MAX(21),
    MAXMSGSIZE(22, Kind.WIDE),
    SNDHWM(23),
    RCVHWM(24),
    RCVTIMEO(27),
    SNDTIMEO(28),
    LAST_ENDPOINT(32, Kind.TEXT),
    TCP_KEEPALIVE(34),
    TCP_KEEPALIVE_CNT(35),
    TCP_KEEPALIVE_IDLE(36),
    TCP_KEEPALIVE_INTVL(37),
    IMMEDIATE(39),
    IPV6(42),
    TOS(57),
    CONNECT_ROUTING_ID(61, Kind.TEXT),
    HANDSHAKE_IVL(66),
    HEARTBEAT_IVL(75),
    HEARTBEAT_TTL(76),
    HEARTBEAT_TIMEOUT(77),
    CONNECT_TIMEOUT(79),
    TCP_MAXRT(80),
    USE_FD(89),
    BINDTODEVICE(92, Kind.TEXT),
    TLS_CERT(95, Kind.TEXT),
    TLS_KEY(96, Kind.TEXT),
    TLS_CA(97, Kind.TEXT),
    TLS_VERIFY(98),
    TLS_REQUIRE_CLIENT_CERT(99),
    TLS_HOSTNAME(100, Kind.TEXT),
    TLS_TRUST_SYSTEM(101),
    TLS_PASSWORD(102, Kind.TEXT),
    MODE(300),
    CLOSE_TIMEOUT(301),
    HEADER_MAX(302),
    TLS_CIPHERS(303, Kind.TEXT),
    SEND_BYTES(304),
    SEND_BYTES_TOTAL(305, Kind.WIDE),
    FULL_POLICY(306),
    RECV_BYTES(307),
    RECV_BYTES_TOTAL(308, Kind.WIDE),
    RATE_MESSAGES(309),
    RATE_BYTES(310),
    RATE_POLICY(311),
    IDLE_TIMEOUT(312),
    FIRST_MESSAGE_TIMEOUT(313),
    MAX_AGE(314),
    MAX_CONNECTIONS(315),
    ADDRESS_CONNECTIONS(316),
    ADDRESS_PREFIX4(317),
    ADDRESS_PREFIX6(318),
    ACCEPT_RATE(319),
    ADDRESS_ACCEPT_RATE(320),
    ALLOW(321, Kind.TEXT),
    DENY(322, Kind.TEXT),
    HANDSHAKES(323),
    PROFILE(324),
    PROPERTIES(325, Kind.TEXT),
    PROPERTY_BYTES(326),
    PROXY_FROM(327, Kind.TEXT),
    WS_PROTOCOLS(328, Kind.TEXT),
    WS_ORIGINS(329, Kind.TEXT),
    WS_HEALTH_PATH(330, Kind.TEXT),
    FRAMING(331),
    WS_DEFLATE(332),
    ACCEPT_TIMEOUT(333),
    WS_PATHS(334, Kind.TEXT),
    PEER_DATA(335),
    TLS_ALPN(336, Kind.TEXT),
    TLS_TICKET_KEYS(337, Kind.TEXT),
    TLS_OCSP(338, Kind.TEXT),
    TLS_MIN_VERSION(339),
    TLS_CERTS(340, Kind.TEXT),
    REUSEPORT(345),
    LISTEN_NAME(346, Kind.TEXT);

    enum Kind {
        INT,
        WIDE, // 64 bits
        TEXT
    }

    final int number;
    final Kind kind;

    Option(int number) {
        this(number, Kind.INT);
    }

    Option(int number, Kind kind) {
        this.number = number;
        this.kind = kind;
    }
}
