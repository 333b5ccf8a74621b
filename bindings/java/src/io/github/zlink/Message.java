// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

import java.util.Arrays;

/** What was received: peer, event, and copies of body and header. */
public final class Message {
    private static final byte[] NONE = {};

    /** A native message of an event, for its properties. */
    private static final class Kept implements Runnable {
        final long memory;

        Kept(long memory) {
            this.memory = memory;
        }

        @Override
        public void run() {
            Native.batchFree(memory, 1);
        }
    }

    private final int peer;
    private final Event event;
    private final byte[] body, header;
    private final boolean text;
    private final Kept kept;

    /** Takes an event out of its batch. */
    Message(MessageBatch batch, int index, int framing) {
        peer = batch.peer(index);
        body = batch.size(index) == 0 ? NONE : batch.body(index);
        event = body.length > 0 ? Event.DATA : batch.event(index);
        text = framing == 1 && batch.isText(index);
        header = framing == 3 ? batch.header(index) : NONE;
        kept = event == Event.DATA ? null : new Kept(batch.keep(index));
        if (kept != null)
            Context.cleaner.register(this, kept);
    }

    /** The peer's number, all 32 bits of it. */
    public int peer() {
        return peer;
    }

    public Event event() {
        return event;
    }

    public boolean isData() {
        return event == Event.DATA;
    }

    /** It came as text, with FRAMING 1. */
    public boolean isText() {
        return text;
    }

    public byte[] body() {
        return body;
    }

    /** The body as UTF-8. */
    public String text() {
        return Native.string(body);
    }

    /** What came in front of the body, with FRAMING 3. */
    public byte[] header() {
        return header;
    }

    /** Of DISCONNECTED: why. */
    public Reason reason() {
        return kept == null ? Reason.UNKNOWN : Reason.of(property(Native.REASON));
    }

    /** Of DISCONNECTED of ws and wss: what the peer said, 1005 or 1006; else 0. */
    public int closeCode() {
        return kept == null ? 0 : property(Native.CLOSE_CODE);
    }

    private int property(int number) {
        int value = Native.property(kept.memory, 0, number);
        java.lang.ref.Reference.reachabilityFence(this);
        return value;
    }

    /**
     * Of an event: "Peer-Address", "Peer-Port", "Close-Reason", and what PROPERTIES names; null: it has none. Of peers that are
     * there StreamSocket.peerProperty tells the same.
     */
    public String property(String name) {
        byte[] value = kept == null ? null : Native.text(kept.memory, 0, Native.name(name));
        java.lang.ref.Reference.reachabilityFence(this);
        return Native.string(value);
    }

    @Override
    public String toString() {
        return event + " of " + Integer.toUnsignedString(peer) + ", " + (body.length > 40 ? body.length + " bytes" : Arrays.toString(body));
    }
}
