// SPDX-License-Identifier: MPL-2.0
// A game at 30 Hz: java Tick.java [ENDPOINT]. Players send how far they move, one byte for each of two directions. Every tick all get
// the places of all. A player who reads slowly gets the newest state, however many ticks it has missed.
import io.github.zlink.Body;
import io.github.zlink.Context;
import io.github.zlink.Event;
import io.github.zlink.Message;
import io.github.zlink.Option;
import io.github.zlink.StreamSocket;
import io.github.zlink.ZlinkException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

public class Tick {
    static final int PLAYERS = 1024, HEAD = 8;
    static final long WORLD = 1; // the key of the state

    /** The tick, how many are present, and two places of each. */
    static final ByteBuffer state = ByteBuffer.allocateDirect(HEAD + PLAYERS * 4).order(ByteOrder.nativeOrder());

    static void move(int at, int by) {
        state.putShort(at, (short) (state.getShort(at) + by));
    }

    static synchronized void play(StreamSocket server, Message message) {
        int place = HEAD + Integer.remainderUnsigned(message.peer(), PLAYERS) * 4;
        if (message.event() == Event.CONNECTED) {
            state.putInt(4, state.getInt(4) + 1).putInt(place, 0);
            try {
                server.join(message.peer(), "players");
            } catch (ZlinkException e) { // it has gone
            }
        } else if (message.event() == Event.DISCONNECTED)
            state.putInt(4, state.getInt(4) - 1);
        else if (message.isData() && message.body().length == 2) {
            move(place, message.body()[0]);
            move(place + 2, message.body()[1]);
        }
    }

    static synchronized void tick(StreamSocket server) {
        state.putInt(0, state.getInt(0) + 1);
        try {
            server.publish("players", Body.of(state).withKey(WORLD));
        } catch (ZlinkException e) { // it is too much now, and the next one has the newer state
        }
    }

    public static void main(String[] arguments) {
        try (var context = new Context(); var server = context.socket()) {
            server.set(Option.SNDBUF, 32 << 10); // what the kernel has cannot be replaced
            System.out.println(server.bind(arguments.length > 0 ? arguments[0] : "tcp://127.0.0.1:5555"));
            var clock = Executors.newSingleThreadScheduledExecutor();
            clock.scheduleAtFixedRate(() -> tick(server), 1_000_000 / 30, 1_000_000 / 30, TimeUnit.MICROSECONDS);
            for (Message message : server)
                play(server, message);
            clock.shutdownNow();
        }
    }
}
