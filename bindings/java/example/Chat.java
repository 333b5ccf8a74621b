// SPDX-License-Identifier: MPL-2.0
// Chat rooms: java Chat.java [ENDPOINT]. A client sends "+ROOM" to enter a room, "-ROOM" to leave it, and "ROOM text" to say
// something to the others in it.
import io.github.zlink.Body;
import io.github.zlink.Context;
import io.github.zlink.Event;
import io.github.zlink.Message;
import io.github.zlink.Option;
import io.github.zlink.StreamSocket;
import io.github.zlink.ZlinkException;
import java.util.HashMap;
import java.util.Map;

public class Chat {
    static final int LONGEST = 1000, MOST_ROOMS = 1000;

    /** How often a peer has entered a room. */
    static final Map<Integer, Integer> entered = new HashMap<>();

    static void serve(StreamSocket server, Message message) {
        String text = message.text();
        int peer = message.peer();
        if (text.startsWith("+")) {
            if (entered.getOrDefault(peer, 0) < MOST_ROOMS) {
                server.join(peer, text.substring(1));
                entered.merge(peer, 1, Integer::sum);
            }
        } else if (text.startsWith("-"))
            server.leave(peer, text.substring(1));
        else
            server.publish(text.split(" ", 2)[0], Body.of(message.body()), peer);
    }

    public static void main(String[] arguments) {
        try (var context = new Context(); var server = context.socket()) {
            server.set(Option.MAXMSGSIZE, LONGEST);
            System.out.println(server.bind(arguments.length > 0 ? arguments[0] : "tcp://127.0.0.1:5555"));
            for (Message message : server) {
                if (message.event() == Event.DISCONNECTED)
                    entered.remove(message.peer()); // it has left all rooms
                if (!message.isData())
                    continue;
                try {
                    serve(server, message);
                } catch (ZlinkException e) { // it has gone, or such a room cannot be
                }
            }
        }
    }
}
