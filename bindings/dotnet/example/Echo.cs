// SPDX-License-Identifier: MPL-2.0
// A server that sends every message back: Echo [ENDPOINT]
using System;
using Zlink;

static class Echo
{
    static void Main(string[] arguments)
    {
        using (var context = new Context())
        using (var server = new StreamSocket(context))
        using (var batch = new MessageBatch(256)) {
            server.Set(Option.Profile, 1); // limits for the internet
            server.Bind(arguments.Length > 0 ? arguments[0] : "tcp://127.0.0.1:5555");
            Console.WriteLine("listening on " + server.LastEndpoint);
            while (server.Receive(batch) > 0)
                server.TrySend(batch, (index, errno) => {
                    if (errno == Errno.EAGAIN)
                        server.AbortPeer(batch[index].Peer); // there is no room for it
                });
        }
    }
}
