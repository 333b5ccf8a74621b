// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

import java.nio.ByteBuffer;

/** What is to be sent: bytes or text, perhaps with a header or a key. The bytes are copied when it is sent. */
public final class Body {
    final byte[] array; // null: it is a direct buffer
    final ByteBuffer direct;
    final int at, size;
    final boolean text;
    final byte[] header;
    final boolean keyed;
    final long key;

    private Body(byte[] array, ByteBuffer direct, int at, int size, boolean text, byte[] header, boolean keyed, long key) {
        this.array = array;
        this.direct = direct;
        this.at = at;
        this.size = size;
        this.text = text;
        this.header = header;
        this.keyed = keyed;
        this.key = key;
    }

    public static Body of(byte[] bytes) {
        return new Body(bytes, null, 0, bytes.length, false, null, false, 0);
    }

    /** What remains of a buffer; its position stays. */
    public static Body of(ByteBuffer buffer) {
        int size = buffer.remaining();
        if (buffer.isDirect())
            return new Body(null, buffer, buffer.position(), size, false, null, false, 0);
        if (buffer.hasArray())
            return new Body(buffer.array(), null, buffer.arrayOffset() + buffer.position(), size, false, null, false, 0);
        byte[] copy = new byte[size];
        buffer.duplicate().get(copy);
        return of(copy);
    }

    /** UTF-8, as bytes. */
    public static Body of(String text) {
        return of(Native.bytes(text));
    }

    /** With FRAMING 1: it is sent as text. */
    public static Body text(String text) {
        byte[] bytes = Native.bytes(text);
        return new Body(bytes, null, 0, bytes.length, true, null, false, 0);
    }

    /** With FRAMING 3: at most 65535 bytes. */
    public Body withHeader(byte[] header) {
        return new Body(array, direct, at, size, text, header.clone(), keyed, key);
    }

    /** It takes the place of the unsent one with the same key. */
    public Body withKey(long key) {
        return new Body(array, direct, at, size, text, header, true, key);
    }
}
