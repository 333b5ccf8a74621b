// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;

/**
 * Room for native messages, of which size() are in use. One thread at a time. What is in it belongs to it until the next receive, a
 * send that takes it, clear or close.
 */
public final class MessageBatch implements AutoCloseable {
    private static final class Memory implements Runnable {
        private long address;
        private final int capacity;

        Memory(int capacity) {
            address = Native.batchNew(capacity);
            this.capacity = capacity;
        }

        @Override
        public void run() {
            if (address != 0)
                Native.batchFree(address, capacity);
            address = 0;
        }
    }

    private final Memory memory;
    private final java.lang.ref.Cleaner.Cleanable cleanable;
    private int count;

    public MessageBatch(int capacity) {
        if (capacity < 1)
            throw new IllegalArgumentException("a batch has room for 1 message at least");
        memory = new Memory(capacity);
        cleanable = Context.cleaner.register(this, memory);
    }

    public int capacity() {
        return memory.capacity;
    }

    public int size() {
        return count;
    }

    long address() {
        if (memory.address == 0)
            throw new IllegalStateException("the batch is closed");
        return memory.address;
    }

    void setSize(int count) {
        this.count = count;
    }

    private long at(int index) {
        if (index < 0 || index >= count)
            throw new IndexOutOfBoundsException("the batch has " + count + " messages, not " + (index + 1L));
        return address();
    }

    public int peer(int index) {
        int peer = Native.peer(at(index), index);
        Reference.reachabilityFence(this);
        return peer;
    }

    /** Names who is to get it. EINVAL: 0. */
    public void setPeer(int index, int peer) {
        Native.setPeer(at(index), index, peer);
        Reference.reachabilityFence(this);
    }

    private int property(int index, int number) {
        int value = Native.property(at(index), index, number);
        Reference.reachabilityFence(this);
        return value;
    }

    public Event event(int index) {
        return Event.of(property(index, Native.EVENT));
    }

    public boolean isText(int index) {
        return property(index, Native.TEXT) == 1;
    }

    public Reason reason(int index) {
        return Reason.of(property(index, Native.REASON));
    }

    /** Of an event, as Message.property. */
    public String property(int index, String name) {
        byte[] value = Native.text(at(index), index, Native.name(name));
        Reference.reachabilityFence(this);
        return Native.string(value);
    }

    public int size(int index) {
        int size = Native.size(at(index), index);
        Reference.reachabilityFence(this);
        return size;
    }

    /** A copy of the bytes. */
    public byte[] body(int index) {
        byte[] body = Native.body(at(index), index);
        Reference.reachabilityFence(this);
        return body;
    }

    /**
     * The bytes themselves, not a copy, read only: for use before the batch changes. Afterwards they are somebody else's, and reading
     * them may end the process.
     */
    public ByteBuffer view(int index) {
        ByteBuffer view = Native.view(at(index), index).asReadOnlyBuffer();
        Reference.reachabilityFence(this);
        return view;
    }

    /** A copy of what came in front of the body, with FRAMING 3; empty: it has none. */
    public byte[] header(int index) {
        byte[] header = Native.header(at(index), index);
        Reference.reachabilityFence(this);
        return header;
    }

    /** Gives a message a copy of a header of at most 65535 bytes (EMSGSIZE); none takes it away. */
    public void setHeader(int index, byte[] header) {
        Native.setHeader(at(index), index, header);
        Reference.reachabilityFence(this);
    }

    long keep(int index) {
        long kept = Native.keep(at(index), index);
        Reference.reachabilityFence(this);
        return kept;
    }

    /** Adds a message for a peer, with a copy of the bytes. ENOBUFS: the batch is full. A key is not for batches. */
    public void add(int peer, Body body) {
        if (count == memory.capacity)
            throw new ZlinkException(ZlinkException.ENOBUFS, "No buffer space available", "the batch is full");
        Native.add(address(), count, peer, body.array, body.direct, body.at, body.size, body.text, body.header);
        Reference.reachabilityFence(this);
        count++;
    }

    public void add(int peer, byte[] body) {
        add(peer, Body.of(body));
    }

    /** Releases every message. */
    public void clear() {
        Native.batchClear(address(), count);
        Reference.reachabilityFence(this);
        count = 0;
    }

    /** Twice is once. */
    @Override
    public void close() {
        count = 0;
        cleanable.clean();
    }
}
