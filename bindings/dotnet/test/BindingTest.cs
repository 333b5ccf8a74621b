// SPDX-License-Identifier: MPL-2.0
// usage: BindingTest PATH_OF_LIBZLINK VERSION
using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using Zlink;

static class BindingTest
{
    static readonly Dictionary<string, Action> cases = new Dictionary<string, Action> {
        { "version", Version },
        { "options", Options },
        { "tcp", () => Exchange("tcp") },
        { "ws", () => Exchange("ws") },
        { "tls", () => Exchange("tls") },
        { "wss", () => Exchange("wss") },
        { "text", Text },
        { "header", Header },
        { "spans", Spans },
        { "async", Async },
        { "async_without_threads", AsyncWithoutThreads },
        { "async_ends", AsyncEnds },
        { "async_waits", AsyncWaits },
        { "accept_peer", AcceptPeer },
        { "refuse_peer", RefusePeer },
        { "order", Order },
        { "errors", Errors },
        { "arguments", Arguments },
        { "long_texts", LongTexts },
        { "nothing_to_receive", NothingToReceive },
        { "full_queue", FullQueue },
        { "gone_peer", GonePeer },
        { "refused", Refused },
        { "events_stay", EventsStay },
        { "close_peer", ClosePeer },
        { "peer_data", PeerData },
        { "drain", Drain },
        { "many", Many },
        { "log", LogLines },
        { "shutdown", Shutdown },
        { "disposed", Disposed },
        { "linger", Linger },
        { "forgotten", Forgotten },
        { "batch_outlives_its_context", BatchOutlivesContext },
        { "faults", Runtime.Faults },
        { "collections", Runtime.Collections }
    };

    static int Main(string[] args)
    {
        int failed = 0;
        Check.Throws<DllNotFoundException>(() => Library.Load(args[0] + ".missing"), "no such file");
        Library.Load(args[0]);
        foreach (var each in cases) {
            if ((each.Key == "tls" || each.Key == "wss") && Pair.Certificate == null) {
                Console.WriteLine("skipped {0}: there is no certificate", each.Key);
                continue;
            }
            try {
                each.Value();
                Console.WriteLine("ok {0}", each.Key);
            } catch (Exception e) {
                failed++;
                Console.WriteLine("FAIL {0}: {1}", each.Key, e);
            }
        }
        Console.WriteLine("{0} cases, {1} failed", cases.Count, failed);
        return failed == 0 ? 0 : 1;
    }

    static void Version()
    {
        Check.Equal(new Version(Environment.GetCommandLineArgs()[2]), Library.Version, "version");
        // That file was taken, not another of the name from elsewhere.
        string path = Path.GetFullPath(Environment.GetCommandLineArgs()[1]);
        string folder = Path.GetDirectoryName(path) + "/libzlink.so.";
        Check.That(File.ReadAllText("/proc/self/maps").Contains(folder), "loaded from " + folder);
    }

    static void Options()
    {
        using (var context = new Context()) {
            context.Set(ContextOption.IoThreads, 1);
            Check.Equal(1, context.Get(ContextOption.IoThreads), "IoThreads");
            using (var socket = new StreamSocket(context)) {
                socket.Set(Option.SendHighWaterMark, 7);
                Check.Equal(7, socket.GetInt(Option.SendHighWaterMark), "SendHighWaterMark");
                socket.Set(Option.MaxMessageSize, 1L << 40);
                Check.Equal(1L << 40, socket.GetLong(Option.MaxMessageSize), "MaxMessageSize");
                socket.Set(Option.TlsHostname, "zürich.example");
                Check.Equal("zürich.example", socket.GetString(Option.TlsHostname), "TlsHostname");
            }
        }
    }

    static byte[] Bytes(int size, int seed)
    {
        var bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    static void Exchange(string transport)
    {
        using (var pair = new Pair(0, transport)) {
            Check.Equal(transport, pair.Server.PeerProperty(pair.ServerPeer, "Transport"), "transport");
            foreach (int size in new[] { 0, 1, 1000, 100000, 5000000 }) {
                byte[] sent = Bytes(size, size);
                pair.Batch.Clear();
                pair.Batch.Add(pair.ClientPeer, sent);
                Check.Equal(0, pair.Client.Send(pair.Batch), "peers gone");
                Check.Equal(0, pair.Batch[0].Size, "size of what was sent");

                Check.Equal(1, pair.Server.Receive(pair.Batch), "messages");
                Check.Equal(StreamEvent.Data, pair.Batch[0].Event, "event");
                Check.Equal(pair.ServerPeer, pair.Batch[0].Peer, "peer");
                Check.Equal(size, pair.Batch[0].Size, "size");
                // Back as it came, without a copy.
                pair.Server.Send(pair.Batch);

                Check.Equal(1, pair.Client.Receive(pair.Batch), "echoes");
                Check.That(pair.Batch[0].Body.SequenceEqual(sent), "the same " + size + " bytes");
            }
        }
    }

    static void Text()
    {
        using (var pair = new Pair(1)) {
            foreach (bool text in new[] { true, false }) {
                pair.Batch.Clear();
                pair.Batch.Add(pair.ClientPeer, System.Text.Encoding.UTF8.GetBytes("grüße"));
                var first = pair.Batch[0];
                first.IsText = text;
                pair.Client.Send(pair.Batch);
                Check.Equal(1, pair.Server.Receive(pair.Batch), "messages");
                Check.Equal(text, pair.Batch[0].IsText, "text");
                pair.Server.Send(pair.Batch);
                Check.Equal(1, pair.Client.Receive(pair.Batch), "echoes");
                Check.Equal(text, pair.Batch[0].IsText, "text of the echo");
                Check.Equal(StreamEvent.Data, pair.Batch[0].Event, "event");
            }
        }
    }

    static void Header()
    {
        using (var pair = new Pair(3)) {
            foreach (int size in new[] { 0, 1, 100, 65535 }) {
                var header = new byte[size];
                new Random(size).NextBytes(header);
                pair.Batch.Clear();
                pair.Batch.Add(pair.ClientPeer, new byte[] { 1, 2, 3 });
                pair.Batch[0].SetHeader(header);
                pair.Client.Send(pair.Batch);
                Check.Equal(1, pair.Server.Receive(pair.Batch), "messages");
                Check.That(pair.Batch[0].Header.SequenceEqual(header), "the header");
                pair.Server.Send(pair.Batch);
                Check.Equal(1, pair.Client.Receive(pair.Batch), "echoes");
                Check.That(pair.Batch[0].Header.SequenceEqual(header), "the header of the echo");
                Check.Equal(3, pair.Batch[0].Size, "size");
            }
            Check.Throws<ZlinkException>(() => pair.Batch[0].SetHeader(new byte[65536]), "too long");
        }
    }

    static void Spans()
    {
        using (var pair = new Pair(3)) {
            byte[] bytes = Bytes(100, 2);
            var middle = new ReadOnlySpan<byte>(bytes, 10, 50);
            pair.Batch.Clear();
            pair.Batch.Add(pair.ClientPeer, middle);
            pair.Batch.Add(pair.ClientPeer, middle, new ReadOnlySpan<byte>(bytes, 0, 3));
            pair.Batch.Add(pair.ClientPeer, ReadOnlySpan<byte>.Empty, ReadOnlySpan<byte>.Empty);
            try {
                pair.Batch.Add(pair.ClientPeer, middle, new ReadOnlySpan<byte>(new byte[65536]));
                throw new Exception("a header of 65536 bytes");
            } catch (ZlinkException) {
                Check.Equal(3, pair.Batch.Count, "messages");
            }
            Check.Equal(0, pair.Client.Send(pair.Batch), "gone");
            for (int i = 0; i < 3; i++) {
                using (var one = new MessageBatch(1)) {
                    Check.Equal(1, pair.Server.Receive(one), "messages");
                    var target = new byte[60];
                    Check.Equal(i == 2 ? 0 : 50, one[0].CopyTo(target), "size");
                    Check.That(new ReadOnlySpan<byte>(target, 0, 50).SequenceEqual(i == 2 ? new byte[50] : middle.ToArray()), "bytes");
                    Check.Equal(i == 1 ? 3 : 0, one[0].Header.Length, "header");
                    if (i < 2)
                        Check.Throws<ArgumentException>(() => one[0].CopyTo(new byte[49]), "no room");
                }
            }
        }
    }

    static async Task Echo(StreamSocket server, int count)
    {
        using (var batch = new MessageBatch(8))
            while (count > 0) {
                count -= await server.ReceiveAsync(batch);
                Check.Equal(0, await server.SendAsync(batch), "gone");
            }
    }

    static async Task Ask(StreamSocket client, uint peer, int count)
    {
        using (var batch = new MessageBatch(1))
            for (int i = 0; i < count; i++) {
                batch.Clear();
                batch.Add(peer, BitConverter.GetBytes(i));
                await client.SendAsync(batch);
                Check.Equal(1, await client.ReceiveAsync(batch), "answers");
                Check.Equal(i, BitConverter.ToInt32(batch[0].ToArray(), 0), "answer");
            }
    }

    static void Ends(Task task, string what)
    {
        Check.That(task.Wait(Check.LimitMs), "ends: " + what);
    }

    static ZlinkException Fails(Task task, int errno, string what)
    {
        try {
            Ends(task, what);
        } catch (AggregateException e) {
            var inner = (ZlinkException) e.InnerException;
            Check.Equal(errno, inner.Errno, "errno");
            return inner;
        }
        throw new Exception("no failure: " + what);
    }

    // Several sockets wait by one thread.
    static void Async()
    {
        var pairs = new[] { new Pair(), new Pair(), new Pair(1) };
        var tasks = new List<Task>();
        foreach (var pair in pairs) {
            tasks.Add(Echo(pair.Server, 300));
            tasks.Add(Ask(pair.Client, pair.ClientPeer, 300));
        }
        foreach (var task in tasks)
            Ends(task, "the exchange");
        foreach (var pair in pairs)
            pair.Dispose();
    }

    // Who awaits has no thread: nothing runs here but the one that waits for all.
    static void AsyncWithoutThreads()
    {
        const int count = 40;
        var batches = new List<MessageBatch>();
        var sockets = new List<StreamSocket>();
        var tasks = new List<Task>();
        using (var context = new Context()) {
            for (int i = 0; i < count; i++) {
                sockets.Add(new StreamSocket(context));
                batches.Add(new MessageBatch(1));
                sockets[i].Bind("tcp://127.0.0.1:*");
            }
            int before = Threads();
            for (int i = 0; i < count; i++)
                tasks.Add(sockets[i].ReceiveAsync(batches[i]).AsTask());
            int more = Threads() - before;
            Check.That(more < count / 2, count + " receives have " + more + " threads");
            context.Shutdown();
            foreach (var task in tasks)
                Fails(task, Errno.ETERM, "the context's end");
            foreach (var socket in sockets)
                socket.Dispose();
            foreach (var batch in batches)
                batch.Dispose();
        }
    }

    static void AsyncEnds()
    {
        var pair = new Pair();
        using (var cancel = new CancellationTokenSource())
        using (var batch = new MessageBatch(4)) {
            Task waits = pair.Server.ReceiveAsync(batch, cancel.Token).AsTask();
            var busy = Fails(pair.Server.ReceiveAsync(pair.Batch).AsTask(), Errno.EBUSY, "a second receive");
            Check.That(busy.Detail != "", "it says so");
            cancel.Cancel();
            try {
                Ends(waits, "what was cancelled");
                throw new Exception("it was not cancelled");
            } catch (AggregateException e) {
                Check.That(e.InnerException is OperationCanceledException, "cancelled: " + e.InnerException);
            }
            waits = pair.Server.ReceiveAsync(batch).AsTask();
            pair.Batch.Clear();
            pair.Batch.Add(pair.ClientPeer, new byte[1]);
            pair.Client.Send(pair.Batch);
            Ends(waits, "a receive after a cancelled one");
            Check.Equal(1, batch.Count, "messages");
            waits = pair.Client.ReceiveAsync(batch).AsTask();
            Task ends = pair.Server.ReceiveAsync(pair.Batch).AsTask();
            Thread.Sleep(10);
            pair.Client.Dispose();
            try {
                Ends(waits, "what was disposed of");
                throw new Exception("it did not fail");
            } catch (AggregateException e) {
                Check.That(e.InnerException is ObjectDisposedException, "disposed: " + e.InnerException);
            }
            Ends(ends, "the disconnect event");
            Check.Equal(StreamEvent.Disconnected, pair.Batch[0].Event, "event");
            ends = pair.Server.ReceiveAsync(pair.Batch).AsTask();
            Thread.Sleep(10);
            pair.Context.Shutdown();
            Fails(ends, Errno.ETERM, "the context's end");
        }
        pair.Dispose();
    }

    // A send to a peer whose queue is full goes on when there is room.
    static void AsyncWaits()
    {
        const int count = 100, size = 50000;
        using (var pair = new Pair())
        using (var other = new StreamSocket(pair.Context))
        using (var many = new MessageBatch(count)) {
            other.Set(Option.SendBytes, 65536);
            other.Set(Option.SendBuffer, 4096);
            other.Set(Option.Linger, 0);
            pair.Server.Set(Option.ReceiveBytes, 65536);
            other.Connect(pair.Server.LastEndpoint);
            other.Receive(pair.Batch);
            for (int i = 0; i < count; i++)
                many.Add(pair.Batch[0].Peer, Bytes(size, i));
            Task sends = other.SendAsync(many).AsTask();
            for (int got = 0; got < count;) {
                Check.That(pair.Server.Receive(pair.Batch) > 0, "messages in time");
                for (int i = 0; i < pair.Batch.Count; i++)
                    if (pair.Batch[i].Event == StreamEvent.Data)
                        Check.That(pair.Batch[i].Body.SequenceEqual(Bytes(size, got++)), "message");
            }
            Ends(sends, "the send");
        }
    }

    // Opens a server that decides about its peers, and a client that asks; the batch has the event.
    static void Asks(Action<StreamSocket, StreamSocket, MessageBatch, uint> then)
    {
        using (var context = new Context())
        using (var server = new StreamSocket(context))
        using (var client = new StreamSocket(context))
        using (var batch = new MessageBatch(4)) {
            foreach (var socket in new[] { server, client })
                socket.Set(Option.ReceiveTimeout, Check.LimitMs);
            server.Set(Option.AcceptTimeout, Check.LimitMs);
            client.Set(Option.ReconnectInterval, -1);
            server.Bind("tcp://127.0.0.1:*");
            client.Connect(server.LastEndpoint);
            Check.Equal(1, server.Receive(batch), "events");
            Check.Equal(StreamEvent.Asking, batch[0].Event, "event");
            then(server, client, batch, batch[0].Peer);
        }
    }

    static void AcceptPeer()
    {
        Asks((server, client, batch, peer) => {
            Check.Throws<ZlinkException>(() => server.AcceptPeer(peer, "chat"), "a subprotocol of tcp");
            server.AcceptPeer(peer);
            Check.Equal(1, server.Receive(batch), "events");
            Check.Equal(StreamEvent.Connected, batch[0].Event, "event");
            Check.Equal(peer, batch[0].Peer, "the same peer");
            Check.Throws<ZlinkException>(() => server.AcceptPeer(peer), "decided");
            Check.Throws<ZlinkException>(() => server.AcceptPeer(peer + 1), "nobody");
        });
    }

    static void RefusePeer()
    {
        Asks((server, client, batch, peer) => {
            Check.Throws<ZlinkException>(() => server.RefusePeer(peer, 200), "a status that refuses nothing");
            server.RefusePeer(peer, 429, "too many");
            Check.Equal(1, server.Receive(batch), "events");
            Check.Equal(StreamEvent.Disconnected, batch[0].Event, "event");
            Check.Equal(Reason.Refused, batch[0].Reason, "reason");
            Check.Throws<ZlinkException>(() => server.RefusePeer(peer), "decided");
        });
    }

    static void Order()
    {
        const int rounds = 200;
        using (var pair = new Pair())
        using (var outgoing = new MessageBatch(5)) {
            for (int round = 0; round < rounds; round++) {
                outgoing.Clear();
                for (int i = 0; i < outgoing.Capacity; i++)
                    outgoing.Add(pair.ClientPeer, BitConverter.GetBytes(round * outgoing.Capacity + i));
                pair.Client.Send(outgoing, 0, 2);
                pair.Client.Send(outgoing, 2, 3);
            }
            for (int expected = 0; expected < rounds * outgoing.Capacity;) {
                Check.That(pair.Server.Receive(pair.Batch) > 0, "messages in time");
                for (int i = 0; i < pair.Batch.Count; i++)
                    Check.Equal(expected++, BitConverter.ToInt32(pair.Batch[i].ToArray(), 0), "number");
            }
        }
    }

    static void Errors()
    {
        using (var context = new Context())
        using (var socket = new StreamSocket(context))
        using (var other = new StreamSocket(context))
        using (var batch = new MessageBatch(1)) {
            var e = Check.Throws<ZlinkException>(() => socket.Set(Option.SendTimeout, -2), "a bad value");
            Check.Equal(Errno.EINVAL, e.Errno, "errno");
            Check.That(e.Detail != "" && e.Message.Contains(e.Detail), "detail in: " + e.Message);
            e = Check.Throws<ZlinkException>(() => socket.Bind("tcp://"), "a bad endpoint");
            Check.Equal(Errno.EINVAL, e.Errno, "errno");
            socket.Bind("tcp://127.0.0.1:*");
            e = Check.Throws<ZlinkException>(() => other.Bind(socket.LastEndpoint), "a port in use");
            Check.Equal(Errno.EADDRINUSE, e.Errno, "errno");
            e = Check.Throws<ZlinkException>(() => batch.Add(0, new byte[1]), "peer 0");
            Check.Equal(Errno.EINVAL, e.Errno, "errno");
            Check.Equal(0, batch.Count, "messages");
            batch.Add(1, new byte[0]);
            Check.Throws<InvalidOperationException>(() => batch.Add(1, new byte[0]), "a full batch");
            Check.Throws<ArgumentOutOfRangeException>(() => socket.Send(batch, 0, 2), "beyond the batch");
            Check.Throws<ArgumentOutOfRangeException>(() => batch.Add(1, new byte[3], 2, 2), "beyond the data");
            Check.Throws<ArgumentNullException>(() => socket.Bind(null), "no endpoint");
            Check.Throws<ArgumentException>(() => socket.Bind("tcp://127.0.0.1:*\0x"), "a NUL in an endpoint");
        }
    }

    // Places that a batch does not have, and texts that C would cut: nothing of it reaches the library.
    static void Arguments()
    {
        using (var pair = new Pair())
        using (var batch = new MessageBatch(4)) {
            var peers = new[] { pair.ServerPeer };
            uint peer = pair.ServerPeer;
            int error;
            batch.Add(peer, new byte[1]);
            foreach (int index in new[] { -1, 1, 4, int.MinValue, int.MaxValue }) {
                Check.Throws<ArgumentOutOfRangeException>(() => pair.Server.Multicast(peers, batch, index), "multicast of " + index);
                Check.Throws<ArgumentOutOfRangeException>(() => pair.Server.Publish("g", batch, index), "publish of " + index);
                Check.Throws<ArgumentOutOfRangeException>(() => pair.Server.Publish("g", 1, batch, index), "publish with a key of " + index);
                Check.Throws<ArgumentOutOfRangeException>(() => StreamSocket.TrySendAny(batch, index, false, out error), "send of " + index);
                Check.Throws<ArgumentOutOfRangeException>(() => pair.Server.Send(batch, index, 1), "send from " + index);
                Check.Throws<ArgumentOutOfRangeException>(() => pair.Server.TrySend(batch, index, 1, false, out error), "try from " + index);
            }
            Check.Throws<ArgumentOutOfRangeException>(() => pair.Server.Send(batch, 0, -1), "less than nothing");
            Check.Throws<ArgumentException>(() => pair.Server.Set(Option.TlsCert, "/a\0b"), "a NUL in a path");
            Check.Throws<ArgumentException>(() => pair.Server.Join(peer, "g\0h"), "a NUL in a group");
            Check.Throws<ArgumentException>(() => pair.Server.Leave(peer, "g\0h"), "a NUL in a group");
            Check.Throws<ArgumentException>(() => pair.Server.Publish("g\0h", batch), "a NUL in a group");
            Check.Throws<ArgumentException>(() => pair.Server.PeerProperty(peer, "Peer-Address\0"), "a NUL in a property");
            Check.Throws<ArgumentException>(() => pair.Server.ClosePeer(peer, 1000, "a\0b"), "a NUL in a reason");
            Check.Throws<ArgumentException>(() => pair.Server.RefusePeer(peer, 403, "a\0b"), "a NUL in a text");
            Check.Throws<ArgumentException>(() => pair.Server.AcceptPeer(peer, "a\0b"), "a NUL in a protocol");
            Check.Equal(0, pair.Server.Send(batch), "peers that have gone");
            Check.Equal(1, pair.Client.Receive(batch), "messages");
        }
    }

    static void LongTexts()
    {
        using (var context = new Context())
        using (var socket = new StreamSocket(context)) {
            string origins = "https://" + new string('d', 3000);
            socket.Set(Option.WsOrigins, origins);
            Check.Equal(origins, socket.GetString(Option.WsOrigins), "a list");
        }
    }

    static void NothingToReceive()
    {
        using (var pair = new Pair()) {
            Check.Equal(0, pair.Server.Receive(pair.Batch, false), "without waiting");
            pair.Server.Set(Option.ReceiveTimeout, 20);
            Check.Equal(0, pair.Server.Receive(pair.Batch), "in time");
            Check.Equal(0, pair.Batch.Count, "count");
        }
    }

    static void FullQueue()
    {
        using (var pair = new Pair())
        using (var other = new StreamSocket(pair.Context)) {
            other.Set(Option.SendHighWaterMark, 4);
            other.Set(Option.Linger, 0);
            other.Connect(pair.Server.LastEndpoint);
            other.Receive(pair.Batch);
            uint peer = pair.Batch[0].Peer;
            int sent = 0, error = 0;
            // The server does not receive: the kernel takes some, the queue 4.
            for (; sent < 10000 && error == 0; sent++) {
                pair.Batch.Clear();
                pair.Batch.Add(peer, new byte[100000]);
                other.TrySend(pair.Batch, 0, 1, false, out error);
            }
            Check.Equal(Errno.EAGAIN, error, "error");
            Check.Equal(100000, pair.Batch[0].Size, "size of what was not sent");
            other.Set(Option.SendTimeout, 50);
            var e = Check.Throws<ZlinkException>(() => {
                // The kernel may have taken more meanwhile.
                for (int i = 0; i < 1000; i++) {
                    pair.Batch.Clear();
                    pair.Batch.Add(peer, new byte[100000]);
                    other.Send(pair.Batch);
                }
            }, "a full queue");
            Check.Equal(Errno.EAGAIN, e.Errno, "errno");
        }
    }

    static void GonePeer()
    {
        using (var pair = new Pair()) {
            uint nobody = pair.ServerPeer + 1000;
            pair.Batch.Clear();
            pair.Batch.Add(nobody, new byte[] { 1 });
            pair.Batch.Add(pair.ServerPeer, new byte[] { 2 });
            pair.Batch.Add(nobody, new byte[] { 3 });
            pair.Batch.Add(pair.ServerPeer, new byte[] { 4 });
            int error;
            Check.Equal(0, pair.Server.TrySend(pair.Batch, 0, 4, true, out error), "taken");
            Check.Equal(Errno.EHOSTUNREACH, error, "error");
            Check.Equal(2, pair.Server.Send(pair.Batch), "peers gone");
            foreach (byte expected in new byte[] { 2, 4 }) {
                using (var one = new MessageBatch(1)) {
                    Check.Equal(1, pair.Client.Receive(one), "messages");
                    Check.Equal(expected, one[0].Body[0], "body");
                }
            }
        }
    }

    static void PeerData()
    {
        using (var context = new Context())
        using (var server = new StreamSocket(context))
        using (var client = new StreamSocket(context))
        using (var batch = new MessageBatch(4)) {
            server.Set(Option.PeerData, 1);
            server.Bind("tcp://127.0.0.1:*");
            client.Connect(server.LastEndpoint);
            Check.Equal(1, server.Receive(batch), "events");
            uint peer = batch[0].Peer;
            Check.Equal(null, batch[0].PeerData, "nothing given");
            server.SetPeerData(peer, "one");
            Check.Equal("one", (string) batch[0].PeerData, "given");
            server.SetPeerData(peer, null);
            Check.Equal(null, batch[0].PeerData, "null given");
            server.SetPeerData(peer, "two");
            client.Dispose();
            Check.Equal(1, server.Receive(batch), "events");
            Check.Equal(StreamEvent.Disconnected, batch[0].Event, "event");
            Check.Equal("two", (string) batch[0].PeerData, "of the last event");
            var e = Check.Throws<ZlinkException>(() => server.SetPeerData(0, "three"), "no peer");
            Check.Equal(Errno.EINVAL, e.Errno, "errno");
            Check.Equal("two", (string) batch[0].PeerData, "as it was");
        }
    }

    // A message that was not taken stays in its batch, and the others are sent.
    static void Refused()
    {
        using (var pair = new Pair()) {
            pair.Batch.Clear();
            foreach (string body in new[] { "first", "kept", "last" })
                pair.Batch.Add(body == "kept" ? pair.ServerPeer ^ 0x10000 : pair.ServerPeer, System.Text.Encoding.UTF8.GetBytes(body));
            var told = new List<int>();
            Check.Equal(1, pair.Server.TrySend(pair.Batch, (index, errno) => told.AddRange(new[] { index, errno })), "refused");
            Check.Equal("1 " + Errno.EHOSTUNREACH, string.Join(" ", told), "which, and why");
            Check.Equal("kept", System.Text.Encoding.UTF8.GetString(pair.Batch[1].ToArray()), "it is kept");
            foreach (string body in new[] { "first", "last" }) {
                using (var one = new MessageBatch(1)) {
                    pair.Client.Receive(one);
                    Check.Equal(body, System.Text.Encoding.UTF8.GetString(one[0].ToArray()), "what came");
                }
            }
        }
    }

    // What came is sent back, and the events among it are not: an event would be an empty message.
    static void EventsStay()
    {
        using (var context = new Context())
        using (var server = new StreamSocket(context))
        using (var client = new StreamSocket(context))
        using (var batch = new MessageBatch(4)) {
            server.Bind("tcp://127.0.0.1:*");
            Action<MessageBatch>[] ways = {
                all => server.Send(all),
                all => server.TrySend(all, (index, errno) => Check.That(false, "refused " + index)),
                all => Check.Equal(0, server.SendAsync(all).AsTask().Result, "gone")
            };
            foreach (var send in ways) {
                client.Connect(server.LastEndpoint);
                client.Receive(batch);
                uint peer = batch[0].Peer;
                batch.Clear();
                batch.Add(peer, new byte[] { 7 });
                client.Send(batch);
                Check.Until(() => server.GetInt(Option.Events) != 0, "something to receive");
                for (int got = 0; got < 2;) {
                    int count = server.Receive(batch);
                    got += count;
                    send(batch);
                    if (got == count)
                        Check.Equal(StreamEvent.Connected, batch[0].Event, "the event is there");
                }
                Check.Equal(1, client.Receive(batch), "answers");
                Check.Equal(1, batch[0].Size, "size of the answer");
            }
        }
    }

    static void ClosePeer()
    {
        using (var pair = new Pair()) {
            Check.Equal("tcp", pair.Server.PeerProperty(pair.ServerPeer, "Transport"), "transport");
            Check.Equal(null, pair.Server.PeerProperty(pair.ServerPeer, "WS-Path"), "no property");
            Check.That(pair.Client.ClosePeer(pair.ClientPeer), "it was there");
            Check.Equal(1, pair.Server.Receive(pair.Batch), "events");
            Check.Equal(StreamEvent.Disconnected, pair.Batch[0].Event, "event");
            Check.Equal(pair.ServerPeer, pair.Batch[0].Peer, "peer");
            Check.Equal(Reason.PeerClosed, pair.Batch[0].Reason, "reason");
            Check.Equal("127.0.0.1", pair.Batch[0].PeerAddress, "address");
            Check.Equal("", pair.Batch[0].Property("Transport"), "not kept");
            Check.That(!pair.Server.ClosePeer(pair.ServerPeer), "closed already");
            Check.That(!pair.Server.ClosePeer(pair.ServerPeer, 1000, "late"), "closed already, with a code");
            Check.That(!pair.Server.AbortPeer(pair.ServerPeer), "closed already, and aborted");
            var e = Check.Throws<ZlinkException>(() => pair.Server.AbortPeer(0), "no peer");
            Check.Equal(Errno.EINVAL, e.Errno, "errno");
        }
    }

    static void Drain()
    {
        using (var pair = new Pair()) {
            pair.Server.Drain(0);
            Check.Equal(1, pair.Client.Receive(pair.Batch), "the client's events");
            Check.Equal(StreamEvent.Disconnected, pair.Batch[0].Event, "the client's event");
            using (var one = new MessageBatch(1)) {
                Check.Equal(1, pair.Server.Receive(one), "events");
                Check.Equal(StreamEvent.Disconnected, one[0].Event, "event");
                Check.Equal(1, pair.Server.Receive(one), "events");
                Check.Equal(StreamEvent.Drained, one[0].Event, "event");
                Check.Equal(0, (int) one[0].Peer, "peer");
            }
            var e = Check.Throws<ZlinkException>(() => pair.Server.Drain(-1), "a negative time");
            Check.Equal(Errno.EINVAL, e.Errno, "errno");
        }
    }

    static void Many()
    {
        using (var pair = new Pair())
        using (var one = new MessageBatch(1)) {
            StreamSocket server = pair.Server;
            var errors = new int[2];
            one.Add(pair.ServerPeer, new byte[] { 1 });
            Check.Equal(1, server.Multicast(new[] { pair.ServerPeer, pair.ServerPeer + 1 }, one, 0, errors), "took it");
            Check.Equal(0, errors[0], "error");
            Check.Equal(Errno.EHOSTUNREACH, errors[1], "error");
            server.Join(pair.ServerPeer, "room");
            for (int i = 0; i < 3; i++) {
                one.Clear();
                one.Add(pair.ServerPeer, new byte[] { (byte) (2 + i) });
                int took = i < 2 ? server.Publish("room", one, 0, i == 0) : server.Publish("room", 7, one);
                Check.Equal(i == 0 ? 0 : 1, took, "took it");
            }
            server.Leave(pair.ServerPeer, "room");
            one.Clear();
            one.Add(pair.ServerPeer, new byte[] { 9 });
            Check.Equal(0, server.Publish("room", one), "took it");
            for (int got = 0; got < 3;) {
                int count = pair.Client.Receive(pair.Batch);
                for (int i = 0; i < count; i++, got++)
                    Check.Equal(got == 0 ? 1 : 2 + got, (int) pair.Batch[i].ToArray()[0], "body");
            }
            int error;
            one.Clear();
            one.Add(pair.ServerPeer, new byte[] { 7 });
            Check.Equal(true, StreamSocket.TrySendAny(one, 0, true, out error), "by its id");
            Check.Equal(0, error, "error");
            one.Clear();
            one.Add(pair.ServerPeer ^ 1u << 31, new byte[] { 8 });
            Check.Equal(false, StreamSocket.TrySendAny(one, 0, false, out error), "to nobody");
            Check.Equal(Errno.EHOSTUNREACH, error, "error");
            Check.Equal(1, pair.Client.Receive(pair.Batch), "messages");
            Check.Equal(7, (int) pair.Batch[0].ToArray()[0], "body");
            var e = Check.Throws<ZlinkException>(() => server.Join(pair.ServerPeer, new string('x', 256)), "a long name");
            Check.Equal(Errno.EINVAL, e.Errno, "errno");
        }
    }

    // Also with the context disposed first: the last socket frees it.
    static void Shutdown()
    {
        var context = new Context();
        int errno = 0;
        var started = new ManualResetEvent(false);
        var receiver = new Thread(() => {
            using (var socket = new StreamSocket(context))
            using (var batch = new MessageBatch(1)) {
                started.Set();
                try {
                    socket.Receive(batch);
                } catch (ZlinkException e) {
                    errno = e.Errno;
                }
            }
        });
        receiver.Start();
        started.WaitOne();
        Thread.Sleep(20);
        context.Dispose();
        Check.Join(receiver, "the receiver");
        Check.Equal(Errno.ETERM, errno, "errno");
    }

    static void Disposed()
    {
        var pair = new Pair();
        pair.Dispose();
        pair.Dispose();
        Check.Throws<ObjectDisposedException>(() => pair.Server.Bind("tcp://*:*"), "a socket");
        Check.Throws<ObjectDisposedException>(() => new StreamSocket(pair.Context), "a context");
        Check.Throws<ObjectDisposedException>(() => pair.Context.Shutdown(), "a context's Shutdown");
        Check.Throws<ObjectDisposedException>(() => pair.Batch.Clear(), "a batch");
    }

    // What was sent before Dispose still goes out: Dispose of the context waits.
    static void Linger()
    {
        using (var serving = new Context())
        using (var server = new StreamSocket(serving))
        using (var batch = new MessageBatch(1)) {
            server.Set(Option.ReceiveTimeout, Check.LimitMs);
            server.Bind("tcp://127.0.0.1:*");
            using (var context = new Context())
            using (var client = new StreamSocket(context)) {
                client.Connect(server.LastEndpoint);
                client.Receive(batch);
                uint peer = batch[0].Peer;
                batch.Clear();
                batch.Add(peer, new byte[1000000]);
                client.Send(batch);
            }
            server.Receive(batch);
            Check.Equal(StreamEvent.Connected, batch[0].Event, "event");
            server.Receive(batch);
            Check.Equal(1000000, batch[0].Size, "size");
        }
    }

    static void LogLines()
    {
        var lines = new List<string>();
        int others = 0;
        bool replaced = false;
        Func<string, bool> told = start => {
            lock (lines)
                return lines.Exists(line => line.StartsWith(start));
        };
        Action<LogLevel, string> record = (level, line) => {
            lock (lines)
                lines.Add(level + " " + line);
        };
        Check.Throws<ArgumentOutOfRangeException>(() => Library.SetLog((LogLevel) 5, record), "no such level");
        Library.SetLog(LogLevel.Info, (level, line) => {
            others++;
            record(level, line);
            Library.SetLog(LogLevel.Info, record); // from inside
            replaced = true;
        });
        using (var pair = new Pair()) {
            Check.Until(() => replaced && told("Info listening local=tcp://127.0.0.1:"), "a listener");
            using (var second = new StreamSocket(pair.Context))
                Check.Throws<ZlinkException>(() => second.Bind(pair.Server.LastEndpoint), "it is in use");
            Check.Until(() => told("Error binding failed local=tcp://127.0.0.1:"), "a failure");
            for (int i = 0; i < 10; i++)
                GC.Collect(); // stops every thread that mono knows
            pair.Server.AbortPeer(pair.ServerPeer);
            Check.Until(() => told("Info disconnected local=tcp://127.0.0.1:"), "an end");
        }
        Library.SetLog(LogLevel.None, null);
        Check.Equal(1, others, "lines of the function that was replaced");
        int count = lines.Count, threads = Threads();
        using (new Pair())
            Check.Equal(count, lines.Count, "lines");
        for (int i = 0; i < 20; i++)
            Library.SetLog(LogLevel.Debug, record); // what ends late may be told
        Library.SetLog(LogLevel.None, record);
        count = lines.Count;
        using (new Pair())
            Check.Equal(count, lines.Count, "lines with the level None");
        Check.Until(() => Threads() <= threads + 8, "threads end");
        Library.SetLog(LogLevel.Debug, (level, line) => { }); // to the end
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static string Forget()
    {
        var pair = new Pair();
        return pair.Server.LastEndpoint;
    }

    static int Threads()
    {
        return Directory.GetDirectories("/proc/self/task").Length;
    }

    // Nobody disposes of them: the garbage collector closes socket and context.
    static void Forgotten()
    {
        string endpoint = null;
        int before = Threads();
        // A stack that nobody looks at for pointers later.
        var forgetting = new Thread(() => endpoint = Forget());
        forgetting.Start();
        Check.Join(forgetting, "the exchange");
        using (var context = new Context())
        using (var socket = new StreamSocket(context))
            Check.Until(() => {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                try {
                    socket.Bind(endpoint);
                    return true;
                } catch (ZlinkException) {
                    return false;
                }
            }, "the port is free again");
        Check.That(Threads() <= before + 8, "threads: " + Threads() + ", were " + before);
    }

    static void BatchOutlivesContext()
    {
        var pair = new Pair();
        var kept = new MessageBatch(1);
        pair.Batch.Clear();
        pair.Batch.Add(pair.ClientPeer, Bytes(1000, 1));
        pair.Client.Send(pair.Batch);
        pair.Server.Receive(kept);
        pair.Dispose();
        Check.That(kept[0].Body.SequenceEqual(Bytes(1000, 1)), "the same bytes");
        kept.Dispose();
    }
}
