// SPDX-License-Identifier: MPL-2.0
// A server and a client in one program. The client greets as soon as it is
// connected; the server answers in capitals; both say what they see.
using System;
using System.Text;
using Zlink;

static class Exchange
{
    // Receives until there was a message of data, and prints what came.
    static string Next(string who, StreamSocket socket, MessageBatch batch)
    {
        for (;;) {
            socket.Receive(batch);
            string text = null;
            for (int i = 0; i < batch.Count; i++) {
                Message message = batch[i];
                if (message.Event == StreamEvent.Data)
                    text = Encoding.UTF8.GetString(message.ToArray());
                Console.WriteLine("{0}: {1}", who, text ?? message.Event.ToString());
            }
            if (text != null)
                return text;
        }
    }

    static int Main()
    {
        using (var context = new Context())
        using (var server = new StreamSocket(context))
        using (var client = new StreamSocket(context))
        using (var batch = new MessageBatch(1)) {
            try {
                server.Bind("tcp://127.0.0.1:*");
                client.Connect(server.LastEndpoint);
                client.Receive(batch);
                uint peer = batch[0].Peer;
                Console.WriteLine("client: {0}", batch[0].Event);

                batch.Clear();
                batch.Add(peer, Encoding.UTF8.GetBytes("hello"));
                client.Send(batch);

                string greeting = Next("server", server, batch);
                peer = batch[0].Peer;
                batch.Clear();
                batch.Add(peer, Encoding.UTF8.GetBytes(greeting.ToUpperInvariant()));
                server.Send(batch);

                Next("client", client, batch);
            } catch (ZlinkException e) {
                Console.Error.WriteLine(e.Message);
                return 1;
            }
        }
        return 0;
    }
}
