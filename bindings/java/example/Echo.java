// SPDX-License-Identifier: MPL-2.0
// A server that sends every message back: java Echo.java [ENDPOINT]
import io.github.zlink.Context;
import io.github.zlink.MessageBatch;
import io.github.zlink.Option;
import io.github.zlink.ZlinkException;

public class Echo {
    public static void main(String[] arguments) {
        try (var context = new Context(); var server = context.socket(); var batch = new MessageBatch(256)) {
            server.set(Option.PROFILE, 1); // limits for the internet
            System.out.println("listening on " + server.bind(arguments.length > 0 ? arguments[0] : "tcp://127.0.0.1:5555"));
            while (server.receive(batch) > 0)
                server.trySend(batch, (index, errno) -> {
                    if (errno == ZlinkException.EAGAIN)
                        server.abortPeer(batch.peer(index)); // there is no room for it
                });
        }
    }
}
