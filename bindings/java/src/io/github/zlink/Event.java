// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

/** What a message is. */
public enum Event {
    DATA,
    CONNECTED,
    DISCONNECTED,
    WRITABLE, // a send to the peer found its queue full, and now has room
    DRAINED, // of the socket, with the peer 0
    ASKING; // somebody waits for acceptPeer or refusePeer

    private static final Event[] all = values();

    static Event of(int number) {
        return all[number];
    }
}
