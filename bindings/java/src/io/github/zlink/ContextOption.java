// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

/** Options of contexts. */
public enum ContextOption {
    IO_THREADS(1),
    MAX_SOCKETS(2),
    SOCKET_LIMIT(3),
    MAX_MSGSZ(5),
    THREAD_NAME_PREFIX(9),
    IPV6(42),
    BLOCKY(70);

    final int number;

    ContextOption(int number) {
        this.number = number;
    }
}
