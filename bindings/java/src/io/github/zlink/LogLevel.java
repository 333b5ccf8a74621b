// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

/** How much the log tells: each includes those before it. */
public enum LogLevel {
    NONE,
    /** An endpoint or a descriptor cannot be had. */
    ERROR,
    /** Failed handshakes, limits, connections that ended badly. */
    WARNING,
    /** Connections, listeners. */
    INFO,
    /** Each step of a connection. */
    DEBUG;

    private static final LogLevel[] all = values();

    static LogLevel of(int number) {
        return all[Math.min(number, all.length - 1)];
    }
}
