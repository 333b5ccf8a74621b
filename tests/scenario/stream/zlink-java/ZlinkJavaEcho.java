// SPDX-License-Identifier: MPL-2.0
// An echo server in Java on the binding, with batches: messages go back as they came.
import io.github.zlink.Context;
import io.github.zlink.MessageBatch;
import io.github.zlink.Option;
import io.github.zlink.StreamSocket;
import io.github.zlink.ZlinkException;

public class ZlinkJavaEcho {
    static String setting(String name, String value) {
        return System.getenv().getOrDefault(name, value);
    }

    static void listen(StreamSocket socket) {
        String transport = setting("TRANSPORT", "tcp");
        socket.set(Option.BACKLOG, Integer.parseInt(setting("BACKLOG", "32768")));
        for (Option option : new Option[] {Option.SNDHWM, Option.RCVHWM})
            socket.set(option, Integer.parseInt(setting("HWM", "1000000")));
        for (Option option : new Option[] {Option.SNDBUF, Option.RCVBUF})
            socket.set(option, Integer.parseInt(setting(option.name(), "262144")));
        socket.set(Option.TLS_CERT, setting("TLS_CERT", "")).set(Option.TLS_KEY, setting("TLS_KEY", "")).set(Option.LINGER, 0);
        String there = transport.equals("ipc") ? "@zlink-java-echo-" + ProcessHandle.current().pid() : "*:0";
        String bound = socket.bind(transport + "://" + there);
        System.out.println("LISTENING " + (transport.equals("ipc") ? there : bound.replaceAll("^.*:(\\d+).*$", "$1")));
    }

    public static void main(String[] arguments) {
        Context context = new Context(Integer.parseInt(setting("IO_THREADS", "2")));
        StreamSocket socket = context.socket();
        Thread main = Thread.currentThread();
        listen(socket);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> { // SIGTERM and SIGINT
            context.shutdown();
            try {
                main.join();
            } catch (InterruptedException e) {
                return;
            }
        }));
        try (MessageBatch batch = new MessageBatch(1024)) {
            while (socket.receive(batch) > 0)
                socket.send(batch, null); // it waits for a full queue, and others wait as well
        } catch (ZlinkException e) {
            if (!e.isEnded())
                throw e;
        }
        socket.close();
        context.close();
    }
}
