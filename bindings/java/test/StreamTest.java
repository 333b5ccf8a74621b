// SPDX-License-Identifier: MPL-2.0
// The binding for Java on the real library: StreamTest [CASE...]
import io.github.zlink.Body;
import io.github.zlink.Context;
import io.github.zlink.ContextOption;
import io.github.zlink.Event;
import io.github.zlink.LogLevel;
import io.github.zlink.Message;
import io.github.zlink.MessageBatch;
import io.github.zlink.Option;
import io.github.zlink.Reason;
import io.github.zlink.StreamSocket;
import io.github.zlink.ZlinkException;
import java.io.File;
import java.io.InputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;

public class StreamTest {
    interface Case {
        void run() throws Exception;
    }

    static class Skip extends RuntimeException {
        private static final long serialVersionUID = 1;

        Skip(String why) {
            super(why);
        }
    }

    // ------------------------------------------------------------------ helpers

    static void that(boolean condition, Object what) {
        if (!condition)
            throw new AssertionError(what);
    }

    static void equal(Object wanted, Object found) {
        that(wanted == null ? found == null : wanted.equals(found), found + ", not " + wanted);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static byte[] filled(int size) {
        byte[] bytes = new byte[size];
        for (int i = 0; i < size; i++)
            bytes[i] = (byte) (i * 7 + size);
        return bytes;
    }

    static ZlinkException fails(int errno, Case call) throws Exception {
        try {
            call.run();
        } catch (ZlinkException e) {
            equal(errno, e.errno());
            return e;
        }
        throw new AssertionError("it did not fail with " + errno);
    }

    static void throwsA(Class<? extends Throwable> type, Case call) throws Exception {
        try {
            call.run();
        } catch (Throwable e) {
            that(type.isInstance(e), e);
            return;
        }
        throw new AssertionError("no " + type);
    }

    static Message expect(StreamSocket socket, Event event) {
        Message message = socket.receive();
        that(message != null, "nothing came");
        equal(event, message.event());
        return message;
    }

    static Message expect(StreamSocket socket, byte[] body) {
        Message message = expect(socket, Event.DATA);
        that(Arrays.equals(body, message.body()), message);
        return message;
    }

    static Message expect(StreamSocket socket, String body) {
        return expect(socket, bytes(body));
    }

    interface Setting {
        void of(StreamSocket socket);
    }

    /** A server and its client, and what each calls the other. */
    static class Pair implements AutoCloseable {
        final Context context = new Context();
        final StreamSocket server = context.socket(), client = context.socket();
        final int toServer, toClient;

        Pair(String transport, Setting setting) {
            for (StreamSocket socket : List.of(server, client)) {
                socket.set(Option.RCVTIMEO, 30000).set(Option.LINGER, 1000);
                setting.of(socket);
            }
            if (transport.equals("tls") || transport.equals("wss")) {
                String file = System.getenv("TLS_CERT");
                if (file == null)
                    throw new Skip("there is no certificate");
                server.set(Option.TLS_CERT, file).set(Option.TLS_KEY, System.getenv("TLS_KEY"));
                client.set(Option.TLS_CA, file);
            }
            client.connect(server.bind(transport + "://127.0.0.1:*"));
            toServer = expect(client, Event.CONNECTED).peer();
            toClient = expect(server, Event.CONNECTED).peer();
        }

        Pair() {
            this("tcp", socket -> { });
        }

        @Override
        public void close() {
            server.close();
            client.close();
            context.close();
        }
    }

    static Thread thread(Case work, AtomicReference<Throwable> failed) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Throwable e) {
                failed.set(e);
            }
        });
        thread.start();
        return thread;
    }

    // ------------------------------------------------------------------ exchange

    static void exchange(String transport) {
        try (Pair p = new Pair(transport, socket -> { }); MessageBatch batch = new MessageBatch(8)) {
            List<byte[]> bodies = List.of(bytes("hello"), bytes(""), filled(100000));
            for (byte[] body : bodies)
                p.client.send(p.toServer, body);
            for (int count = 0; count < 3;) {
                int got = p.server.receive(batch);
                equal(got, batch.size());
                for (int i = 0; i < got; i++) {
                    equal(Event.DATA, batch.event(i));
                    equal(p.toClient, batch.peer(i));
                    byte[] body = bodies.get(count + i), seen = new byte[batch.size(i)];
                    batch.view(i).get(seen);
                    that(Arrays.equals(body, seen) && Arrays.equals(body, batch.body(i)), "body " + (count + i));
                }
                equal(0, p.server.send(batch, null)); // as they came
                count += got;
            }
            for (byte[] body : bodies)
                expect(p.client, body);
            ByteBuffer direct = ByteBuffer.allocateDirect(10), heap = ByteBuffer.wrap(bytes("__buffer"), 2, 6);
            direct.put(bytes("a direct..")).limit(8).position(2);
            p.client.send(p.toServer, Body.of(direct));
            p.client.send(p.toServer, Body.of(heap.slice()));
            p.client.send(p.toServer, Body.of(heap.asReadOnlyBuffer()));
            expect(p.server, "direct");
            expect(p.server, "buffer");
            expect(p.server, "buffer");
            equal(2, direct.position());
            equal(transport, p.server.peerProperty(p.toClient, "Transport"));
            equal(null, p.server.peerProperty(p.toClient, "no such"));
            that(p.server.closePeer(p.toClient), "it was there");
            equal(Reason.PEER_CLOSED, expect(p.client, Event.DISCONNECTED).reason());
            Message ended = expect(p.server, Event.DISCONNECTED);
            equal(Reason.CLOSED_HERE, ended.reason());
            equal("127.0.0.1", ended.property("Peer-Address"));
            equal(null, ended.property("no such"));
            that(!p.server.closePeer(p.toClient) && !p.server.closePeer(p.toClient, 1000, "late") && !p.server.abortPeer(p.toClient), "it has gone");
            equal(6L, p.server.stats().msgsIn);
            equal(1L, p.server.stats().endedBy(Reason.CLOSED_HERE));
        }
    }

    static void text() {
        try (Pair p = new Pair("ws", socket -> socket.set(Option.FRAMING, 1))) {
            p.client.send(p.toServer, Body.text("häh \uD83D\uDE00"));
            p.client.send(p.toServer, new byte[] {-1});
            Message text = expect(p.server, "häh \uD83D\uDE00");
            that(text.isText() && text.text().equals("häh \uD83D\uDE00"), text);
            that(!expect(p.server, new byte[] {-1}).isText(), "bytes");
            p.server.closePeer(p.toClient, 4000, "enough");
            Message ended = expect(p.client, Event.DISCONNECTED);
            equal(4000, ended.closeCode());
            equal("enough", ended.property("Close-Reason"));
        }
    }

    static void headers() throws Exception {
        for (String transport : List.of("tcp", "ws"))
            try (Pair p = new Pair(transport, socket -> socket.set(Option.FRAMING, 3)); MessageBatch batch = new MessageBatch(8)) {
                byte[][] headers = {bytes("h"), {}, {0, 1}, filled(65535)}, bodies = {bytes("body"), bytes("none"), {}, filled(100000)};
                for (int i = 0; i < 4; i++)
                    p.client.send(p.toServer, Body.of(bodies[i]).withHeader(headers[i]));
                for (int count = 0; count < 4;) {
                    int got = p.server.receive(batch);
                    for (int i = 0; i < got; i++)
                        that(Arrays.equals(headers[count + i], batch.header(i)), "header " + (count + i));
                    if (count == 0)
                        batch.setHeader(0, bytes("other"));
                    equal(0, p.server.send(batch, null));
                    count += got;
                }
                headers[0] = bytes("other");
                for (int i = 0; i < 4; i++)
                    that(Arrays.equals(headers[i], expect(p.client, bodies[i]).header()), "header " + i);
                p.server.join(p.toClient, "room");
                equal(1, p.server.publish("room", Body.of("published").withHeader(bytes("p"))));
                equal(1, p.server.publish("room", Body.of("keyed").withKey(1).withHeader(bytes("k"))));
                equal(0, p.server.multicast(new int[] {p.toClient}, Body.of("listed").withHeader(bytes("m")))[0]);
                batch.clear();
                batch.add(p.toClient, Body.of("added").withHeader(bytes("a")));
                equal(0, p.server.send(batch, null));
                for (String body : List.of("published", "keyed", "listed", "added"))
                    equal(body.substring(0, 1).replace('l', 'm'), new String(expect(p.client, body).header()));
                fails(ZlinkException.EMSGSIZE, () -> p.server.send(p.toClient, Body.of("").withHeader(new byte[65536])));
            }
        try (Pair p = new Pair()) {
            that(!fails(ZlinkException.EINVAL, () -> p.server.send(p.toClient, Body.of("body").withHeader(new byte[1]))).detail().isEmpty(), "");
            p.server.send(p.toClient, bytes("none"));
            equal(0, expect(p.client, "none").header().length);
        }
    }

    // -------------------------------------------------------------------- errors

    static void errors() throws Exception {
        try (Pair p = new Pair(); MessageBatch small = new MessageBatch(1)) {
            ZlinkException error = fails(ZlinkException.EINVAL, () -> p.server.bind("5555"));
            equal("endpoint \"5555\" has no \"://\"", error.detail());
            equal("Invalid argument: endpoint \"5555\" has no \"://\"", error.getMessage());
            fails(ZlinkException.EADDRINUSE, () -> p.client.bind(p.server.lastEndpoint()));
            that(fails(ZlinkException.EHOSTUNREACH, () -> p.server.trySend(123456789, bytes("x"))).isPeerGone(), "it is gone");
            fails(ZlinkException.EINVAL, () -> p.server.send(0, bytes("x")));
            fails(ZlinkException.EINVAL, () -> p.server.abortPeer(0));
            fails(ZlinkException.EINVAL, () -> p.server.set(Option.FRAMING, 77));
            fails(ZlinkException.EINVAL, () -> p.server.set(Option.SNDHWM, 1L << 40));
            fails(ZlinkException.EINVAL, () -> p.server.join(p.toClient, ""));
            throwsA(IllegalArgumentException.class, () -> p.server.set(Option.WS_PATHS, 7));
            throwsA(IllegalArgumentException.class, () -> p.server.set(Option.SNDHWM, "7"));
            throwsA(IllegalArgumentException.class, () -> p.server.set(Option.TLS_CERT, "/a\0b"));
            throwsA(IllegalArgumentException.class, () -> new MessageBatch(0));
            throwsA(IndexOutOfBoundsException.class, () -> small.peer(0));
            throwsA(NullPointerException.class, () -> p.server.send(p.toClient, (byte[]) null));
            small.add(p.toClient, bytes("one"));
            fails(ZlinkException.ENOBUFS, () -> small.add(p.toClient, bytes("two")));
            equal(0, p.server.send(small, null));
            expect(p.client, "one");
            equal(0, p.server.tryReceive(small));
            that(p.server.tryReceiveMany().isEmpty(), "nothing is there");
            p.server.set(Option.RCVTIMEO, 1);
            equal(null, p.server.receive());
            that(!p.server.iterator().hasNext(), "nothing comes in time");
        }
    }

    /** A message that was not taken stays in its batch, and the others are sent. */
    static void refused() throws Exception {
        try (Pair p = new Pair(); MessageBatch batch = new MessageBatch(3)) {
            batch.add(p.toClient, bytes("first"));
            batch.add(77777, bytes("kept"));
            batch.add(p.toClient, bytes("last"));
            List<Integer> told = new ArrayList<>();
            equal(1, p.server.trySend(batch, (index, errno) -> told.addAll(List.of(index, errno))));
            equal(List.of(1, ZlinkException.EHOSTUNREACH), told);
            that(Arrays.equals(bytes("kept"), batch.body(1)) && batch.peer(1) == 77777 && batch.size(0) == 0, "it is kept");
            batch.setPeer(1, p.toClient);
            batch.setPeer(0, p.toClient);
            batch.setPeer(2, p.toClient);
            equal(0, p.server.trySend(batch, null));
            for (String body : List.of("first", "last", "", "kept", ""))
                expect(p.client, body);
        }
    }

    // ----------------------------------------------------------------- ownership

    static void closed_once() throws Exception {
        Pair p = new Pair();
        MessageBatch batch = new MessageBatch(1);
        p.server.close();
        p.server.close();
        that(p.server.isClosed(), "it is closed");
        for (Case call : List.<Case>of(() -> p.server.send(p.toClient, bytes("x")), () -> p.server.receive(), () -> p.server.receive(batch),
                () -> p.server.bind("tcp://127.0.0.1:*"), () -> p.server.stats(), () -> p.server.publish("group", bytes("x")),
                () -> p.server.get(Option.LINGER), () -> p.server.closePeer(p.toClient)))
            that(!fails(ZlinkException.ENOTSOCK, call).detail().isEmpty(), "it says so");
        batch.close();
        batch.close();
        throwsA(IllegalStateException.class, () -> p.client.receive(batch));
        throwsA(IllegalStateException.class, () -> batch.add(1, bytes("x")));
        p.client.close();
        p.context.close();
        p.context.close();
        fails(ZlinkException.EFAULT, () -> p.context.socket());
    }

    /** A context that is closed first ends with its last socket, and what is forgotten is closed. */
    static void context_is_held() throws Exception {
        Context context = new Context(1);
        equal(1, context.get(ContextOption.IO_THREADS));
        fails(ZlinkException.EINVAL, () -> context.set(ContextOption.IO_THREADS, -7));
        equal(-1, context.get(ContextOption.THREAD_NAME_PREFIX)); // nobody has set it
        File folder = java.nio.file.Files.createTempDirectory("zlink").toFile();
        String path = folder + "/admin";
        context.setAdmin(path);
        try (Context second = new Context()) {
            fails(ZlinkException.EADDRINUSE, () -> second.setAdmin(path));
            context.setAdmin(null);
            second.setAdmin(path);
            second.setAdmin(null);
        }
        that(folder.delete(), "nothing is left there");
        StreamSocket one = context.socket(), two = context.socket();
        context.close();
        that(fails(ZlinkException.ETERM, () -> one.receive()).isEnded(), "it has ended");
        fails(ZlinkException.ETERM, () -> context.socket());
        one.close();
        two.close();
        fails(ZlinkException.EFAULT, () -> context.socket());

        String endpoint = forget();
        try (Context other = new Context(); StreamSocket again = other.socket()) {
            for (boolean free = false; !free; Thread.sleep(5)) { // the forgotten socket gives its port back
                System.gc();
                try {
                    again.bind(endpoint);
                    free = true;
                } catch (ZlinkException e) {
                    equal(ZlinkException.EADDRINUSE, e.errno());
                }
            }
        }
    }

    static String forget() {
        return new Context().socket().bind("tcp://127.0.0.1:*");
    }

    /** Events have their properties, and views their bytes, when everything else is gone. */
    static void outlive() {
        Message ended;
        MessageBatch batch = new MessageBatch(1);
        try (Pair p = new Pair()) {
            p.client.send(p.toServer, filled(100000));
            equal(1, p.server.receive(batch));
            p.server.abortPeer(p.toClient);
            ended = expect(p.server, Event.DISCONNECTED);
        }
        System.gc();
        byte[] seen = new byte[batch.size(0)];
        batch.view(0).get(seen);
        that(Arrays.equals(filled(100000), seen), "the bytes");
        equal("127.0.0.1", ended.property("Peer-Address"));
        equal(Reason.ABORTED_HERE, ended.reason());
        batch.close();
    }

    // ---------------------------------------------------------------------- rest

    static void typed_options() {
        try (Context context = new Context(); StreamSocket socket = context.socket()) {
            Set<Option> texts = Set.of(Option.ROUTING_ID, Option.LAST_ENDPOINT, Option.BINDTODEVICE, Option.TLS_CERT, Option.TLS_KEY,
                Option.TLS_CA, Option.TLS_HOSTNAME, Option.TLS_PASSWORD, Option.TLS_CIPHERS, Option.ALLOW, Option.DENY, Option.PROPERTIES,
                Option.PROXY_FROM, Option.WS_PROTOCOLS, Option.WS_ORIGINS, Option.WS_HEALTH_PATH, Option.WS_PATHS, Option.TLS_ALPN,
                Option.TLS_TICKET_KEYS, Option.TLS_OCSP, Option.TLS_CERTS, Option.LISTEN_NAME);
            for (Option option : Option.values())
                if (option == Option.CONNECT_ROUTING_ID)
                    continue;
                else if (texts.contains(option))
                    socket.getText(option);
                else
                    socket.get(option); // of another size it would be EINVAL
            socket.set(Option.WS_PATHS, "/a, /b").set(Option.MAXMSGSIZE, 1L << 40).set(Option.SEND_BYTES_TOTAL, 1L << 33);
            equal("/a, /b", socket.getText(Option.WS_PATHS));
            equal(1L << 40, socket.get(Option.MAXMSGSIZE));
            equal(1L << 33, socket.get(Option.SEND_BYTES_TOTAL));
            equal(-1L, socket.get(Option.LINGER));
            equal(1L, socket.get(Option.MODE));
            socket.set(Option.AFFINITY, -1);
            equal(-1L, socket.get(Option.AFFINITY));
        }
        equal(System.getenv().getOrDefault("ZLINK_VERSION", Context.libraryVersion()), Context.libraryVersion());
    }

    static void groups() throws Exception {
        try (Pair p = new Pair(); StreamSocket other = p.context.socket()) {
            other.set(Option.RCVTIMEO, 30000).set(Option.LINGER, 0);
            other.connect(p.server.lastEndpoint());
            int toOther = expect(p.server, Event.CONNECTED).peer();
            expect(other, Event.CONNECTED);
            p.server.join(p.toClient, "room");
            p.server.join(toOther, "room");
            equal(2, p.server.publish("room", bytes("all")));
            equal(1, p.server.publish("room", Body.of("but one"), toOther));
            p.server.leave(toOther, "room");
            equal(1, p.server.publish("room", Body.of("state").withKey(7)));
            equal(0, p.server.publish("nobody's", bytes("?")));
            int[] errors = p.server.multicast(new int[] {toOther, 99999}, Body.of("list"));
            that(errors[0] == 0 && errors[1] == ZlinkException.EHOSTUNREACH, Arrays.toString(errors));
            p.server.send(toOther, Body.of("keyed").withKey(-1));
            StreamSocket.sendAny(p.toClient, Body.of("by its id"));
            that(StreamSocket.trySendAny(p.toClient, Body.of("again")), "it has room");
            fails(ZlinkException.EHOSTUNREACH, () -> StreamSocket.sendAny(p.toClient ^ 1 << 31, Body.of("nobody")));
            throwsA(IllegalArgumentException.class, () -> StreamSocket.sendAny(p.toClient, Body.of("key").withKey(1)));
            for (String body : List.of("all", "but one", "state", "by its id", "again"))
                expect(p.client, body);
            for (String body : List.of("all", "list", "keyed"))
                expect(other, body);
        }
    }

    static void asking_and_draining() throws Exception {
        String request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: chat.v2, chat.v1\r\n\r\n";
        try (Context context = new Context(); StreamSocket server = context.socket(); StreamSocket client = context.socket();
                StreamSocket other = context.socket()) {
            for (StreamSocket socket : List.of(server, client, other))
                socket.set(Option.RCVTIMEO, 30000).set(Option.RECONNECT_IVL, -1).set(Option.LINGER, 0);
            server.set(Option.ACCEPT_TIMEOUT, 30000);
            String endpoint = server.bind("ws://127.0.0.1:*");
            client.connect(endpoint);
            int asks = expect(server, Event.ASKING).peer();
            server.acceptPeer(asks);
            fails(ZlinkException.EFSM, () -> server.refusePeer(asks, 0, null));
            equal(asks, expect(server, Event.CONNECTED).peer());
            other.connect(endpoint);
            server.refusePeer(expect(server, Event.ASKING).peer(), 401, "who are you?");
            equal(Reason.REFUSED, expect(server, Event.DISCONNECTED).reason());
            expect(client, Event.CONNECTED);
            try (Socket raw = new Socket("127.0.0.1", Integer.parseInt(endpoint.replaceAll(".*:(\\d+).*", "$1")))) {
                raw.getOutputStream().write(bytes(request));
                int third = expect(server, Event.ASKING).peer();
                that(fails(ZlinkException.EINVAL, () -> server.acceptPeer(third, "other")).detail().contains("does not offer"), "why");
                server.acceptPeer(third, "chat.v1");
                expect(server, Event.CONNECTED);
                StringBuilder answer = new StringBuilder();
                for (InputStream in = raw.getInputStream(); answer.indexOf("\r\n\r\n") < 0;)
                    answer.append((char) in.read());
                that(answer.indexOf("\r\nSec-WebSocket-Protocol: chat.v1\r\n") > 0, answer);
            }
            expect(server, Event.DISCONNECTED);
            server.drain(0, 1012);
            equal(1012, expect(client, Event.DISCONNECTED).closeCode());
            equal(Reason.DRAINED, expect(server, Event.DISCONNECTED).reason());
            equal(0, expect(server, Event.DRAINED).peer());
        }
    }

    /** Three threads send while one receives; the context's end ends it. */
    static void threads() throws Exception {
        final int senders = 3, each = 2000;
        AtomicReference<Throwable> failed = new AtomicReference<>();
        Pair p = new Pair();
        List<Thread> running = new ArrayList<>();
        for (int n = 0; n < senders; n++) {
            int number = n;
            running.add(thread(() -> {
                for (int i = 0; i < each; i++)
                    p.server.send(p.toClient, bytes(number + " " + i));
            }, failed));
        }
        List<String> ended = new ArrayList<>();
        p.server.set(Option.RCVTIMEO, -1);
        Thread waiting = thread(() -> {
            for (Message message : p.server)
                ended.add(message.toString());
            ended.add("end");
        }, failed);
        int[] next = new int[senders];
        for (int count = 0; count < senders * each; count++) {
            String[] words = expect(p.client, Event.DATA).text().split(" ");
            int number = Integer.parseInt(words[0]);
            equal(next[number]++, Integer.parseInt(words[1])); // one thread's messages keep their order
        }
        for (Thread thread : running)
            thread.join();
        p.context.shutdown();
        waiting.join();
        equal(null, failed.get());
        equal(List.of("end"), ended);
        fails(ZlinkException.ETERM, () -> p.server.send(p.toClient, bytes("late")));
        p.close();
    }

    /** What the JVM makes of its own signals is not changed by the library, whose threads are busy meanwhile. */
    static void faults() throws Exception {
        AtomicReference<Throwable> failed = new AtomicReference<>();
        try (Pair p = new Pair()) {
            Thread busy = thread(() -> {
                for (int i = 0; i < 2000; i++)
                    p.client.send(p.toServer, filled(1000));
            }, failed);
            for (int i = 0; i < 2000; i++) {
                expect(p.server, filled(1000));
                String nothing = i < 0 ? "" : null;
                throwsA(NullPointerException.class, () -> nothing.length());
                int zero = nothing == null ? 0 : 1;
                throwsA(ArithmeticException.class, () -> Math.floorMod(1, zero));
                if (i % 500 == 0) {
                    throwsA(StackOverflowError.class, () -> deeper(0));
                    System.gc(); // stops every thread
                }
            }
            busy.join();
        }
        equal(null, failed.get());
    }

    /** What happens at all sockets, on a thread of the library, which is an ordinary one of Java's for the listener. */
    static void log() throws Exception {
        List<String> lines = new ArrayList<>();
        AtomicReference<Throwable> failed = new AtomicReference<>(), thrown = new AtomicReference<>();
        Context.setLog(LogLevel.INFO, (level, line) -> {
            synchronized (lines) {
                lines.add(level + " " + line);
                lines.notifyAll();
            }
            try {
                that(Thread.currentThread().isDaemon(), "it does not hold up the end");
                fails(ZlinkException.EFSM, () -> Context.setLog(LogLevel.NONE, null));
                String nothing = lines.isEmpty() ? "" : null;
                throwsA(NullPointerException.class, () -> nothing.length());
                throwsA(StackOverflowError.class, () -> deeper(0));
            } catch (Throwable error) {
                failed.set(error);
            }
            if (level == LogLevel.ERROR)
                throw new IllegalStateException("a listener fails");
        });
        try (Pair p = new Pair()) {
            logged(lines, "INFO listening local=tcp://127.0.0.1:");
            logged(lines, "INFO connected local=tcp://127.0.0.1:");
            Thread.setDefaultUncaughtExceptionHandler((thread, error) -> thrown.set(error));
            try (StreamSocket second = p.context.socket()) {
                fails(ZlinkException.EADDRINUSE, () -> second.bind(p.server.lastEndpoint()));
            }
            logged(lines, "ERROR binding failed local=tcp://127.0.0.1:");
            for (int i = 0; i < 20; i++)
                System.gc(); // stops every thread, also the library's
            p.server.abortPeer(p.toClient);
            logged(lines, "INFO disconnected local=tcp://127.0.0.1:");
        }
        Context.setLog(LogLevel.NONE, null);
        Thread.setDefaultUncaughtExceptionHandler(null);
        that(thrown.get() instanceof IllegalStateException, thrown.get());
        equal(null, failed.get());
        int count = lines.size();
        try (Pair p = new Pair()) {
            p.server.abortPeer(p.toClient);
            equal(count, lines.size());
        }
        Context.setLog(LogLevel.DEBUG, (level, line) -> { }); // to the end
    }

    static void logged(List<String> lines, String start) throws InterruptedException {
        synchronized (lines) {
            while (lines.stream().noneMatch(line -> line.startsWith(start)))
                lines.wait();
        }
    }

    static int deeper(int depth) {
        return deeper(depth + 1) + 1;
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Case> cases = new LinkedHashMap<>();
        for (String transport : List.of("tcp", "ws", "tls", "wss"))
            cases.put(transport, () -> exchange(transport));
        cases.put("text", StreamTest::text);
        cases.put("headers", StreamTest::headers);
        cases.put("errors", StreamTest::errors);
        cases.put("refused", StreamTest::refused);
        cases.put("closed_once", StreamTest::closed_once);
        cases.put("context_is_held", StreamTest::context_is_held);
        cases.put("outlive", StreamTest::outlive);
        cases.put("typed_options", StreamTest::typed_options);
        cases.put("groups", StreamTest::groups);
        cases.put("asking_and_draining", StreamTest::asking_and_draining);
        cases.put("threads", StreamTest::threads);
        cases.put("faults", StreamTest::faults);
        cases.put("log", StreamTest::log);
        List<String> wanted = List.of(arguments);
        for (Map.Entry<String, Case> one : cases.entrySet()) {
            if (!wanted.isEmpty() && !wanted.contains(one.getKey()))
                continue;
            long start = System.nanoTime();
            try {
                one.getValue().run();
            } catch (Skip why) {
                System.out.println("skipped " + one.getKey() + ": " + why.getMessage());
                continue;
            }
            System.out.println("ok " + one.getKey() + " (" + (System.nanoTime() - start) / 1000000 + " ms)");
        }
        File log = new File("hs_err_pid" + ProcessHandle.current().pid() + ".log");
        that(!log.exists(), log);
    }
}
