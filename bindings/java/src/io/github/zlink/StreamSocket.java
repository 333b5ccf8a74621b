// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

import java.lang.ref.Reference;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;

/**
 * A STREAM socket in the mode FAST: many peers, each with a number. One thread at a time, except that any number of threads may send,
 * publish, join and end peers while one receives. Made by Context.socket.
 */
public final class StreamSocket implements AutoCloseable, Iterable<Message> {
    private static final class Handle implements Runnable {
        private final Context.State context;
        private volatile long number;

        Handle(Context.State context) {
            this.context = context;
            number = context.newSocket();
        }

        synchronized long take() {
            long taken = number;
            number = 0;
            return taken;
        }

        /** It was forgotten. The cleaner's thread waits for nothing. */
        @Override
        public void run() {
            long forgotten = take();
            if (forgotten == 0)
                return;
            Native.socketClose(forgotten);
            context.socketGone(false);
        }
    }

    /** Is told of a message of a batch that was not taken: EAGAIN, or EHOSTUNREACH. */
    public interface Refused {
        void refused(int index, int errno);
    }

    private final Context context; // is not forgotten before the socket
    private final Handle handle;
    private final ArrayDeque<Message> received = new ArrayDeque<>();
    private MessageBatch batch; // of receive; null: not used yet
    private volatile int framing;

    StreamSocket(Context context, Context.State state) {
        this.context = context;
        handle = new Handle(state);
        Context.cleaner.register(this, handle);
    }

    // ------------------------------------------------------------------ options

    private static void expect(Option option, boolean fits, String kind) {
        if (!fits)
            throw new IllegalArgumentException(option + " is " + (option.kind == Option.Kind.TEXT ? "a text" : "a number") + ", not " + kind);
    }

    /** Returns the socket, for the next one. */
    public StreamSocket set(Option option, long value) {
        expect(option, option.kind != Option.Kind.TEXT, "a number");
        boolean wide = option.kind == Option.Kind.WIDE;
        if (!wide && value != (int) value)
            throw new ZlinkException(ZlinkException.EINVAL, "Invalid argument", option + " has 32 bits, and " + value + " has more");
        Native.setNumber(handle.number, option.number, value, wide);
        if (option == Option.FRAMING)
            framing = (int) value;
        Reference.reachabilityFence(this);
        return this;
    }

    public StreamSocket set(Option option, String value) {
        expect(option, option.kind == Option.Kind.TEXT, "a text");
        Native.setText(handle.number, option.number, Native.name(value));
        Reference.reachabilityFence(this);
        return this;
    }

    /** Of an option that is a number. */
    public long get(Option option) {
        expect(option, option.kind != Option.Kind.TEXT, "a number");
        long value = Native.getNumber(handle.number, option.number, option.kind == Option.Kind.WIDE);
        Reference.reachabilityFence(this);
        return value;
    }

    /** Of an option that is a text. */
    public String getText(Option option) {
        expect(option, option.kind == Option.Kind.TEXT, "a text");
        String text = Native.string(Native.getText(handle.number, option.number));
        Reference.reachabilityFence(this);
        return text;
    }

    /** The last bound endpoint, with the port that the system chose. */
    public String lastEndpoint() {
        return getText(Option.LAST_ENDPOINT);
    }

    // ---------------------------------------------------------------- endpoints

    private void endpoint(int call, String endpoint) {
        Native.endpoint(handle.number, call, Native.name(endpoint));
        Reference.reachabilityFence(this);
    }

    /** Listens, and returns lastEndpoint. */
    public String bind(String endpoint) {
        endpoint(Native.BIND, endpoint);
        return lastEndpoint();
    }

    public void connect(String endpoint) {
        endpoint(Native.CONNECT, endpoint);
    }

    public void unbind(String endpoint) {
        endpoint(Native.UNBIND, endpoint);
    }

    public void disconnect(String endpoint) {
        endpoint(Native.DISCONNECT, endpoint);
    }

    // ------------------------------------------------------------------ receive

    /** Fills a batch with what is there, and waits for the first message only. Returns its size; 0: nothing came in RCVTIMEO. */
    public int receive(MessageBatch into) {
        return receive(into, true);
    }

    /** The same without waiting. */
    public int tryReceive(MessageBatch into) {
        return receive(into, false);
    }

    private int receive(MessageBatch into, boolean wait) {
        into.setSize(0); // the library releases what it replaces
        int count = Native.batchReceive(handle.number, into.address(), into.capacity(), wait);
        Reference.reachabilityFence(this);
        into.setSize(count);
        return count;
    }

    private List<Message> receiveMany(boolean wait) {
        List<Message> all = new ArrayList<>(received);
        received.clear();
        if (!all.isEmpty())
            return all;
        if (batch == null)
            batch = new MessageBatch(256);
        int count = receive(batch, wait);
        for (int i = 0; i < count; i++)
            all.add(new Message(batch, i, framing));
        batch.clear(); // the read buffers go back
        return all;
    }

    /** What is there, up to 256 messages; waits for the first only. Empty: nothing came in RCVTIMEO. */
    public List<Message> receiveMany() {
        return receiveMany(true);
    }

    /** What is there, perhaps nothing. */
    public List<Message> tryReceiveMany() {
        return receiveMany(false);
    }

    /** One message; null: none came in RCVTIMEO. It takes what is there with one call, and later ones get the rest. */
    public Message receive() {
        if (received.isEmpty())
            received.addAll(receiveMany(true));
        return received.poll();
    }

    /** Messages, until the context is shut down, or nothing comes in RCVTIMEO. */
    @Override
    public Iterator<Message> iterator() {
        return new Iterator<>() {
            private Message next;

            @Override
            public boolean hasNext() {
                try {
                    if (next == null)
                        next = receive();
                } catch (ZlinkException e) {
                    if (!e.isEnded())
                        throw e;
                }
                return next != null;
            }

            @Override
            public Message next() {
                if (!hasNext())
                    throw new NoSuchElementException();
                Message message = next;
                next = null;
                return message;
            }
        };
    }

    // --------------------------------------------------------------------- send

    private int send(int peer, Body body, boolean wait) {
        if (peer == 0)
            throw new ZlinkException(ZlinkException.EINVAL, "Invalid argument", "the peer 0 is nobody");
        int error = Native.send(handle.number, peer, body.array, body.direct, body.at, body.size, body.text, body.header, body.keyed,
            body.key, wait);
        Reference.reachabilityFence(this);
        return error;
    }

    /** Queues a copy for a peer. With a key it never waits. Throws EAGAIN: the queue was full for SNDTIMEO; EHOSTUNREACH: the peer has gone. */
    public void send(int peer, Body body) {
        taken(send(peer, body, true));
    }

    private static void taken(int error) {
        if (error != 0)
            throw new ZlinkException(error, "Resource temporarily unavailable", "the peer's queue is full");
    }

    public void send(int peer, byte[] body) {
        send(peer, Body.of(body));
    }

    /** The same without waiting; false: the peer's queue is full. */
    public boolean trySend(int peer, Body body) {
        return send(peer, body, false) == 0;
    }

    public boolean trySend(int peer, byte[] body) {
        return trySend(peer, Body.of(body));
    }

    /** The same as send to a peer of any socket of the process: its number is enough. EHOSTUNREACH also: its socket is closed. */
    public static void sendAny(int peer, Body body) {
        taken(sendAny(peer, body, true));
    }

    /** The same without waiting; false: the peer's queue is full. */
    public static boolean trySendAny(int peer, Body body) {
        return sendAny(peer, body, false) == 0;
    }

    private static int sendAny(int peer, Body body, boolean wait) {
        if (body.keyed)
            throw new IllegalArgumentException("a key needs the peer's socket");
        return Native.sendAny(peer, body.array, body.direct, body.at, body.size, body.text, body.header, wait);
    }

    /**
     * Sends what is in a batch, except events: received messages go back to their peers. Those that were not taken are still in
     * the batch, and refused, unless it is null, is told of each. Returns how many these are.
     */
    public int send(MessageBatch from, Refused refused) {
        return send(from, 0, from.size(), true, refused);
    }

    /** The same without waiting. */
    public int trySend(MessageBatch from, Refused refused) {
        return send(from, 0, from.size(), false, refused);
    }

    private int send(MessageBatch from, int first, int end, boolean wait, Refused refused) {
        int[] pairs = new int[2 * (end - first)];
        int count = Native.batchSend(handle.number, from.address(), first, end, wait, pairs);
        Reference.reachabilityFence(this);
        Reference.reachabilityFence(from);
        for (int i = 0; i < count && refused != null; i++)
            refused.refused(pairs[2 * i], pairs[2 * i + 1]);
        return count;
    }

    /** Sends to the members of a group, and never waits: how many took it. */
    public int publish(String group, Body body) {
        return publish(group, body, 0);
    }

    public int publish(String group, byte[] body) {
        return publish(group, Body.of(body), 0);
    }

    /** The same, but not to one peer. */
    public int publish(String group, Body body, int exceptPeer) {
        int taken = Native.publish(handle.number, Native.name(group), exceptPeer, body.array, body.direct, body.at, body.size, body.text,
            body.header, body.keyed, body.key);
        Reference.reachabilityFence(this);
        return taken;
    }

    /** Sends to many peers, and never waits: the errno of each, 0 of those that took it. */
    public int[] multicast(int[] peers, Body body) {
        int[] errors = new int[peers.length];
        Native.multicast(handle.number, peers, errors, body.array, body.direct, body.at, body.size, body.text, body.header);
        Reference.reachabilityFence(this);
        return errors;
    }

    // -------------------------------------------------------------------- peers

    /** Makes a peer a member of a group, until it leaves or its connection ends. */
    public void join(int peer, String group) {
        Native.member(handle.number, peer, Native.name(group), true);
        Reference.reachabilityFence(this);
    }

    public void leave(int peer, String group) {
        Native.member(handle.number, peer, Native.name(group), false);
        Reference.reachabilityFence(this);
    }

    /** Whether there was the peer that a call ends: who is told later that it has gone cannot know. */
    private boolean wasThere(Runnable end) {
        try {
            end.run();
            return true;
        } catch (ZlinkException e) {
            if (e.isPeerGone())
                return false;
            throw e;
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Closes a connection once what is queued for it has arrived. False: it had ended already. */
    public boolean closePeer(int peer) {
        return wasThere(() -> Native.closePeer(handle.number, peer));
    }

    /** The same; a peer of ws or wss is told the code and the reason, which may be null. */
    public boolean closePeer(int peer, int code, String reason) {
        return wasThere(() -> Native.tellPeer(handle.number, peer, code, Native.bytesOrNull(reason), false));
    }

    /** Resets a connection at once; what is queued for it is discarded. False: it had ended already. */
    public boolean abortPeer(int peer) {
        return wasThere(() -> Native.abortPeer(handle.number, peer));
    }

    /** Takes somebody who asks (Event.ASKING) as a peer. ACCEPT_TIMEOUT must have been set at bind. */
    public void acceptPeer(int peer) {
        acceptPeer(peer, null);
    }

    /** Of a request for a WebSocket the protocol is one that it offers, or "" for none; null: that of WS_PROTOCOLS. */
    public void acceptPeer(int peer, String protocol) {
        Native.acceptPeer(handle.number, peer, Native.bytesOrNull(protocol));
        Reference.reachabilityFence(this);
    }

    /** Turns somebody who asks away; a request for a WebSocket gets the status (0: 403) and the text, which may be null. */
    public void refusePeer(int peer, int status, String text) {
        Native.tellPeer(handle.number, peer, status, Native.bytesOrNull(text), true);
        Reference.reachabilityFence(this);
    }

    /** A property of a peer that is there; null: it has none of that name. */
    public String peerProperty(int peer, String name) {
        String value = Native.string(Native.peerText(handle.number, peer, Native.name(name)));
        Reference.reachabilityFence(this);
        return value;
    }

    // --------------------------------------------------------------------- rest

    /** Stops listening and dialling, and ends all peers over that time; Event.DRAINED says when nobody is left. */
    public void drain(int spreadMs, int code) {
        Native.drain(handle.number, spreadMs, code);
        Reference.reachabilityFence(this);
    }

    public Stats stats() {
        Stats stats = new Stats(Native.stats(handle.number));
        Reference.reachabilityFence(this);
        return stats;
    }

    public boolean isClosed() {
        return handle.number == 0;
    }

    /**
     * Returns at once, unless the context is closed; what was sent goes out for up to LINGER. Twice is once. No other thread may be in a
     * call: Context.shutdown ends one that waits.
     */
    @Override
    public void close() {
        long closing = handle.take();
        if (closing == 0)
            return;
        try {
            Native.socketClose(closing);
        } finally {
            handle.context.socketGone(true);
            Reference.reachabilityFence(context);
        }
    }
}
