// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

/** Why a connection ended: doc/reasons.md. */
public enum Reason {
    UNKNOWN,
    PEER_CLOSED,
    RESET,
    IDLE,
    NO_PONG,
    HANDSHAKE,
    PROTOCOL,
    TOO_LONG,
    QUEUE_BOUND,
    RATE,
    LIMIT,
    CLOSED_HERE,
    ABORTED_HERE,
    DRAINED,
    FIRST_MESSAGE,
    AGE,
    STALLED,
    CONTEXT,
    NO_MEMORY,
    REFUSED,
    UNDECIDED;

    private static final Reason[] all = values();

    /** A newer library may have reasons that are not here. */
    static Reason of(int number) {
        return number < all.length ? all[number] : UNKNOWN;
    }
}
