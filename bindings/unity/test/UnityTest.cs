// SPDX-License-Identifier: MPL-2.0
// The client for Unity against sockets of the library, which this program has by the binding: UnityTest LIBRARY
using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using System.Threading;
using Zlink;
using Zlink.Unity;
using Message = Zlink.Unity.Message;

static class UnityTest
{
    // Sends back what comes, as it came; "bye" ends the connection.
    sealed class EchoServer : IDisposable
    {
        public readonly string Endpoint;
        public readonly StreamSocket Socket;
        private readonly Context context = new Context();
        private readonly Thread thread;

        public EchoServer(string transport, Framing framing, bool answers = true, string address = "127.0.0.1")
        {
            Socket = new StreamSocket(context);
            Socket.Set(Option.Framing, (int) framing);
            Socket.Set(Option.Linger, 1000);
            if (transport == "tls" || transport == "wss") {
                Socket.Set(Option.TlsCert, Environment.GetEnvironmentVariable("TLS_CERT"));
                Socket.Set(Option.TlsKey, Environment.GetEnvironmentVariable("TLS_KEY"));
            }
            Socket.Set(Option.WsProtocols, "game");
            Socket.Bind(transport + "://" + address + ":*");
            Endpoint = Socket.LastEndpoint;
            if (transport == "wss") // mono knows no certificates of addresses
                Endpoint = Endpoint.Replace("127.0.0.1", "localhost");
            thread = new Thread(answers ? (ThreadStart) Serve : Flood);
            thread.Start();
        }

        private void Serve()
        {
            try {
                using (var batch = new MessageBatch(64))
                    for (;;) {
                        Socket.Receive(batch);
                        for (int i = 0; i < batch.Count; i++)
                            if (batch[i].Event != StreamEvent.Data)
                                continue;
                            else if (batch[i].Size == 3 && Encoding.UTF8.GetString(batch[i].ToArray()) == "bye")
                                Socket.ClosePeer(batch[i].Peer, 4002, "bye");
                            else
                                Socket.Send(batch, i, 1);
                    }
            } catch (ZlinkException e) {
                Check.Equal(Errno.ETERM, e.Errno, "why the server ends");
            }
        }

        public int Sent;
        public const int Long = 100000;

        // Sends 300 numbered bodies to whoever comes.
        private void Flood()
        {
            try {
                using (var batch = new MessageBatch(1))
                    while (Socket.Receive(batch) > 0)
                        if (batch[0].Event == StreamEvent.Connected) {
                            uint peer = batch[0].Peer;
                            batch.Clear();
                            for (Sent = 0; Sent < 300; Sent++) {
                                batch.Clear();
                                batch.Add(peer, Filled(Long, Sent));
                                Socket.Send(batch);
                            }
                        }
            } catch (ZlinkException e) {
                Check.Equal(Errno.ETERM, e.Errno, "why the server ends");
            }
        }

        public void Dispose()
        {
            context.Shutdown();
            Check.Join(thread, "the server");
            Socket.Dispose();
            context.Dispose();
        }
    }

    static byte[] Filled(int size, int seed)
    {
        var bytes = new byte[size];
        for (int i = 0; i < size; i++)
            bytes[i] = (byte) (i * 7 + size + seed);
        return bytes;
    }

    static Message Next(ZlinkClient client)
    {
        Message message = null;
        Check.Until(() => client.TryReceive(out message) || client.State == State.Closed, "a message comes");
        Check.That(message != null, "a message: " + client.Error);
        return message;
    }

    static void Ends(ZlinkClient client)
    {
        Check.Until(() => client.State == State.Closed, "the connection ends");
    }

    static void Exchange(string transport, Framing framing)
    {
        var settings = new Settings { Framing = framing, Certificate = (sender, certificate, chain, errors) => true };
        using (var server = new EchoServer(transport, framing))
        using (var client = ZlinkClient.Connect(server.Endpoint, settings)) {
            bool headed = framing == Framing.Headers;
            int[] sizes = { 0, 1, 119, 126, 65529, 65536, 1000000 };
            if (framing == Framing.Raw) // an empty message sends nothing, and the others are one stream
                sizes = new[] { 1000000 };
            foreach (int size in sizes) // also before it is open
                Check.That(client.Send(Filled(size, 0), headed ? Filled(size % 65536, 1) : null), "it is queued");
            foreach (int size in sizes) {
                Message message = Next(client);
                var body = new List<byte>(message.Body);
                while (framing == Framing.Raw && body.Count < size)
                    body.AddRange(Next(client).Body);
                Check.That(body.SequenceEqual(Filled(size, 0)), "the body of " + size + " bytes");
                Check.That(message.Header.SequenceEqual(headed ? Filled(size % 65536, 1) : new byte[0]), "its header");
                Check.That(!message.IsText, "bytes");
            }
            Check.That(client.Send("häh"), "the text is queued");
            Message text = Next(client);
            Check.Equal("häh", text.Text, "text");
            Check.Equal(framing == Framing.Messages, text.IsText, "whether it is text");
            client.Send("bye");
            Ends(client);
            Check.Equal<Exception>(null, client.Error, "why it ended");
            Check.Equal(transport.StartsWith("ws") ? 4002 : 0, client.CloseCode, "the code");
            Check.That(!client.Send("late"), "nothing is queued then");
            Check.Equal(0L, client.QueuedBytes, "what is queued then");
        }
    }

    // What is queued arrives before the connection ends, and the answers can be received.
    static void Close(string transport)
    {
        using (var server = new EchoServer(transport, Framing.Length))
        using (var client = ZlinkClient.Connect(server.Endpoint, new Settings { Certificate = (a, b, c, d) => true })) {
            for (int i = 0; i < 100; i++)
                client.Send(Filled(1000, i));
            if (transport == "ws") // whose Close frame ends both ways
                for (int i = 0; i < 100; i++)
                    Next(client);
            client.Close();
            Check.That(!client.Send("late"), "nothing is queued behind that");
            Ends(client);
            Check.Equal<Exception>(null, client.Error, "why it ended");
            Message message;
            for (int i = 0; i < 100 && transport != "ws"; i++) {
                Check.That(client.TryReceive(out message), "an answer");
                Check.That(message.Body.SequenceEqual(Filled(1000, i)), "its body");
            }
            Check.That(!client.TryReceive(out message), "no more");
        }
    }

    // A game that does not receive makes the server wait, and loses nothing.
    static void SlowReader(string transport)
    {
        var settings = new Settings { MaxReceivedBytes = 1000000 };
        using (var server = new EchoServer(transport, Framing.Length, false))
        using (var client = ZlinkClient.Connect(server.Endpoint, settings)) {
            for (int before = -1; server.Sent == 0 || server.Sent != before; Thread.Sleep(50))
                before = server.Sent;
            Check.That(server.Sent < 300, "the server waits");
            for (int i = 0; i < 300; i++)
                Check.That(Next(client).Body.SequenceEqual(Filled(EchoServer.Long, i)), "message " + i);
        }
    }

    static void TooLong(string transport, Framing framing)
    {
        using (var server = new EchoServer(transport, framing))
        using (var client = ZlinkClient.Connect(server.Endpoint, new Settings { Framing = framing, MaxSize = 1000 })) {
            client.Send(Filled(1000, 0));
            client.Send(Filled(1001, 0));
            Check.Equal(1000, Next(client).Body.Length, "the first one");
            Ends(client);
            Check.That(client.Error is ProtocolException, "why: " + client.Error);
            Check.Equal("a message of 1001 bytes came, and MaxSize is 1000", client.Error.Message, "what it says");
        }
    }

    static void Errors()
    {
        Check.Throws<ArgumentException>(() => ZlinkClient.Connect("ipc:///tmp/x"), "ipc");
        Check.Throws<ArgumentException>(() => ZlinkClient.Connect("tcp://127.0.0.1"), "no port");
        Check.Throws<ArgumentException>(() => ZlinkClient.Connect("ws://127.0.0.1:1", new Settings { Framing = Framing.Raw }), "raw");
        Check.Throws<ArgumentException>(() => ZlinkClient.Connect("tcp://127.0.0.1:1", new Settings { Framing = Framing.Messages }), "text");
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        string there = "127.0.0.1:" + ((IPEndPoint) listener.LocalEndpoint).Port;
        using (var mute = ZlinkClient.Connect("ws://" + there, new Settings { ConnectTimeoutMs = 200 })) {
            Ends(mute);
            Check.That(mute.Error is TimeoutException, "nobody answers: " + mute.Error);
        }
        using (var opening = ZlinkClient.Connect("ws://" + there)) {
            opening.Dispose();
            Ends(opening);
            Check.Equal<Exception>(null, opening.Error, "it was disposed of");
        }
        listener.Stop();
        using (var nobody = ZlinkClient.Connect("tcp://" + there)) {
            nobody.Send("for nobody");
            Ends(nobody);
            Check.That(nobody.Error is SocketException, "nobody listens: " + nobody.Error);
            Check.Equal(0L, nobody.QueuedBytes, "what is queued then");
        }
        using (var server = new EchoServer("tcp", Framing.Length))
        using (var client = ZlinkClient.Connect(server.Endpoint, new Settings { MaxQueuedBytes = 100 })) {
            Check.Throws<ArgumentException>(() => client.Send(new byte[1], new byte[1]), "a header");
            client.Send("one");
            Check.Equal("one", Next(client).Text, "the text");
            client.Dispose();
            client.Dispose();
            Ends(client);
            Check.That(!client.Send("late"), "it is closed");
        }
        if (Environment.GetEnvironmentVariable("TLS_CERT") == null)
            return;
        using (var server = new EchoServer("tls", Framing.Length, address: "127.0.0.2"))
        using (var client = ZlinkClient.Connect(server.Endpoint)) {
            Ends(client);
            Check.That(client.Error is AuthenticationException, "the certificate is another's: " + client.Error);
        }
    }

    static readonly string[] plain = { "tcp", "ws" };

    static readonly Dictionary<string, Action> cases = new Dictionary<string, Action> {
        { "tcp", () => { foreach (var f in new[] { Framing.Length, Framing.Raw, Framing.Headers }) Exchange("tcp", f); } },
        { "ws", () => { foreach (var f in new[] { Framing.Length, Framing.Messages, Framing.Headers }) Exchange("ws", f); } },
        { "tls", () => { foreach (var f in new[] { Framing.Length, Framing.Headers }) Exchange("tls", f); Close("tls"); } },
        { "wss", () => { foreach (var f in new[] { Framing.Length, Framing.Messages, Framing.Headers }) Exchange("wss", f); } },
        { "closed", () => { foreach (var t in plain) Close(t); } },
        { "slow_reader", () => { foreach (var t in plain) SlowReader(t); } },
        { "too_long", () => { foreach (var f in new[] { Framing.Length, Framing.Messages, Framing.Headers }) TooLong("ws", f); TooLong("tcp", Framing.Length); } },
        { "errors", Errors },
    };

    static int Main(string[] arguments)
    {
        Library.Load(arguments[0]);
        foreach (var one in cases) {
            if (arguments.Length > 1 && !arguments.Contains(one.Key))
                continue;
            if ((one.Key == "tls" || one.Key == "wss") && Environment.GetEnvironmentVariable("TLS_CERT") == null) {
                Console.WriteLine("skipped " + one.Key + ": there is no certificate");
                continue;
            }
            var watch = System.Diagnostics.Stopwatch.StartNew();
            one.Value();
            Console.WriteLine("ok " + one.Key + " (" + watch.ElapsedMilliseconds + " ms)");
        }
        return 0;
    }
}
