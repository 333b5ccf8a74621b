// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;

/** The functions of native.c, which says what each does. */
final class Native {
    private Native() {
    }

    static {
        load();
    }

    /** The file that the property zlink.library names, the one beside the jar, or what java.library.path has. */
    private static void load() {
        String named = System.getProperty("zlink.library");
        Path beside = beside();
        if (named != null)
            System.load(Path.of(named).toAbsolutePath().toString());
        else if (beside != null && Files.exists(beside))
            System.load(beside.toString());
        else
            System.loadLibrary("zlinkjni");
    }

    private static Path beside() {
        CodeSource source = Native.class.getProtectionDomain().getCodeSource();
        try {
            return source == null ? null : Path.of(source.getLocation().toURI()).toAbsolutePath().resolveSibling("libzlinkjni.so");
        } catch (java.net.URISyntaxException | IllegalArgumentException | java.nio.file.FileSystemNotFoundException e) {
            return null; // it comes from somewhere else than a file
        }
    }

    /** A text for C, which takes a NUL as its end. */
    static byte[] name(String text) {
        if (text.indexOf('\0') >= 0)
            throw new IllegalArgumentException("a text without a NUL is wanted");
        return bytes(text);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** A null stays one. */
    static byte[] bytesOrNull(String text) {
        return text == null ? null : name(text);
    }

    static String string(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    static final int CLOSE_CODE = 301, REASON = 302, TEXT = 303, EVENT = 300;
    static final int BIND = 0, CONNECT = 1, UNBIND = 2, DISCONNECT = 3;

    static native long contextNew();

    static native void contextSet(long context, int option, int value);

    static native int contextGet(long context, int option);

    static native void contextSetAdmin(long context, byte[] path);

    static native void contextShutdown(long context);

    static native void contextTerm(long context);

    static native void setLog(int level, LogListener listener);

    private static volatile Thread logging; // runs a listener now

    static boolean isLogging() {
        return logging == Thread.currentThread();
    }

    /** native.c calls it. */
    private static void log(LogListener listener, int level, byte[] line) {
        Thread thread = Thread.currentThread();
        logging = thread;
        try {
            listener.line(LogLevel.of(level), string(line));
        } catch (Throwable thrown) {
            thread.getUncaughtExceptionHandler().uncaughtException(thread, thrown);
        } finally {
            logging = null;
        }
    }

    static native long socketNew(long context);

    static native void socketClose(long socket);

    static native void setNumber(long socket, int option, long value, boolean wide);

    static native void setText(long socket, int option, byte[] value);

    static native long getNumber(long socket, int option, boolean wide);

    static native byte[] getText(long socket, int option);

    static native void endpoint(long socket, int call, byte[] endpoint);

    static native long batchNew(int capacity);

    static native void batchClear(long batch, int count);

    static native void batchFree(long batch, int capacity);

    static native int batchReceive(long socket, long batch, int capacity, boolean wait);

    static native int batchSend(long socket, long batch, int first, int end, boolean wait, int[] refused);

    static native int peer(long batch, int index);

    static native void setPeer(long batch, int index, int peer);

    static native int property(long batch, int index, int property);

    static native byte[] text(long batch, int index, byte[] property);

    static native int size(long batch, int index);

    static native byte[] body(long batch, int index);

    static native ByteBuffer view(long batch, int index);

    static native byte[] header(long batch, int index);

    static native void setHeader(long batch, int index, byte[] header);

    static native long keep(long batch, int index);

    static native void add(long batch, int index, int peer, byte[] array, ByteBuffer direct, int at, int size, boolean text, byte[] header);

    static native int send(long socket, int peer, byte[] array, ByteBuffer direct, int at, int size, boolean text, byte[] header,
        boolean keyed, long key, boolean wait);

    static native int sendAny(int peer, byte[] array, ByteBuffer direct, int at, int size, boolean text, byte[] header, boolean wait);

    static native int publish(long socket, byte[] group, int except, byte[] array, ByteBuffer direct, int at, int size, boolean text,
        byte[] header, boolean keyed, long key);

    static native int multicast(long socket, int[] peers, int[] errors, byte[] array, ByteBuffer direct, int at, int size, boolean text,
        byte[] header);

    static native void member(long socket, int peer, byte[] group, boolean joins);

    static native void closePeer(long socket, int peer);

    static native void abortPeer(long socket, int peer);

    static native void tellPeer(long socket, int peer, int code, byte[] text, boolean refused);

    static native void acceptPeer(long socket, int peer, byte[] protocol);

    static native byte[] peerText(long socket, int peer, byte[] property);

    static native void drain(long socket, int spreadMs, int code);

    static native long[] stats(long socket);

    static native int version();
}
