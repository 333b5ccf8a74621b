// SPDX-License-Identifier: MPL-2.0
// Chat rooms: Chat [ENDPOINT]. A client sends "+ROOM" to enter a room, "-ROOM" to leave it, and "ROOM text" to say something to
// the others in it.
using System;
using System.Collections.Generic;
using System.Text;
using Zlink;

static class Chat
{
    const int Longest = 1000, MostRooms = 1000;

    static readonly Dictionary<uint, int> entered = new Dictionary<uint, int>(); // how often a peer has entered a room

    static void Serve(StreamSocket server, MessageBatch batch, int index)
    {
        uint peer = batch[index].Peer;
        string text = Encoding.UTF8.GetString(batch[index].ToArray());
        if (text.StartsWith("+", StringComparison.Ordinal)) {
            int rooms;
            entered.TryGetValue(peer, out rooms);
            if (rooms < MostRooms) {
                server.Join(peer, text.Substring(1));
                entered[peer] = rooms + 1;
            }
        } else if (text.StartsWith("-", StringComparison.Ordinal))
            server.Leave(peer, text.Substring(1));
        else
            server.Publish(text.Split(' ')[0], batch, index, true); // without a copy, and not to who said it
    }

    static void Main(string[] arguments)
    {
        using (var context = new Context())
        using (var server = new StreamSocket(context))
        using (var batch = new MessageBatch(256)) {
            server.Set(Option.MaxMessageSize, (long) Longest);
            server.Bind(arguments.Length > 0 ? arguments[0] : "tcp://127.0.0.1:5555");
            Console.WriteLine(server.LastEndpoint);
            while (server.Receive(batch) > 0)
                for (int i = 0; i < batch.Count; i++) {
                    if (batch[i].Event == StreamEvent.Disconnected)
                        entered.Remove(batch[i].Peer); // it has left all rooms
                    if (batch[i].Event != StreamEvent.Data)
                        continue;
                    try {
                        Serve(server, batch, i);
                    } catch (ZlinkException) { // it has gone, or such a room cannot be
                    } catch (ArgumentException) { // a room with a zero in its name
                    }
                }
        }
    }
}
