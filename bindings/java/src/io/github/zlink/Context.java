// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

import java.lang.ref.Cleaner;

/** The io threads, and what sockets share. Any thread. */
public final class Context implements AutoCloseable {
    static final Cleaner cleaner = Cleaner.create();

    /** The native context, which its sockets hold. */
    static final class State implements Runnable {
        private long handle = Native.contextNew();
        private int sockets; // that are open
        private boolean closed;

        synchronized long handle() {
            return handle;
        }

        synchronized long newSocket() {
            long socket = Native.socketNew(handle);
            sockets++;
            return socket;
        }

        void socketGone(boolean waits) {
            synchronized (this) {
                sockets--;
            }
            end(waits);
        }

        void close() {
            synchronized (this) {
                if (closed)
                    return;
                Native.contextShutdown(handle);
                closed = true;
            }
            end(true);
        }

        /** Ends it, if it is closed and so are its sockets; not on the cleaner's thread, as it may wait for what was sent. */
        private void end(boolean waits) {
            long ending;
            synchronized (this) {
                if (!closed || sockets > 0 || handle == 0)
                    return;
                ending = handle;
                handle = 0;
            }
            if (waits) {
                Native.contextTerm(ending);
                return;
            }
            Thread thread = new Thread(() -> Native.contextTerm(ending), "zlink context");
            thread.setDaemon(true);
            thread.start();
        }

        /** It was forgotten, as its sockets were, which are closed in any order. */
        @Override
        public void run() {
            synchronized (this) {
                if (!closed)
                    Native.contextShutdown(handle);
                closed = true;
            }
            end(false);
        }
    }

    private final State state = new State();

    public Context() {
        cleaner.register(this, state);
    }

    public Context(int ioThreads) {
        this();
        set(ContextOption.IO_THREADS, ioThreads);
    }

    public StreamSocket socket() {
        return new StreamSocket(this, state);
    }

    public void set(ContextOption option, int value) {
        Native.contextSet(state.handle(), option.number, value);
    }

    public int get(ContextOption option) {
        return Native.contextGet(state.handle(), option.number);
    }

    /** Programs of the same user, such as zlink-top, may ask for the statistics at this path; null ends that. */
    public void setAdmin(String path) {
        Native.contextSetAdmin(state.handle(), Native.bytesOrNull(path));
    }

    /** Makes every blocked and later call on its sockets fail with ETERM, and ends their loops. */
    public void shutdown() {
        Native.contextShutdown(state.handle());
    }

    /** Shuts down. Whoever is later, this or the close of its last socket, waits until what was sent is out (LINGER). Twice is once. */
    @Override
    public void close() {
        state.close();
    }

    private static final Object logLock = new Object();

    /**
     * Has a listener get what happens at all sockets of the process, up to a level; null, or NONE, ends it. It runs on
     * a daemon thread of the library, one line after another, and holds up no socket: what is more than 100 lines a second
     * is counted. It may use sockets, but not call this (EFSM). When this returns, the listener before does not run any more.
     */
    public static void setLog(LogLevel level, LogListener listener) {
        if (Native.isLogging()) {
            Native.setLog(level.ordinal(), listener); // which fails, and waits for nobody
            return;
        }
        synchronized (logLock) {
            Native.setLog(level.ordinal(), listener);
        }
    }

    /** Of the library that is loaded: "MAJOR.MINOR.PATCH". */
    public static String libraryVersion() {
        int version = Native.version();
        return version / 10000 + "." + version / 100 % 100 + "." + version % 100;
    }
}
