// SPDX-License-Identifier: MPL-2.0
// The library brings Go's runtime into a process that has a runtime already,
// and both use signals. These check that the host's still does what it did.
using System;
using System.Threading;
using Zlink;

static class Runtime
{
    // An echo between two threads that goes on while something else happens.
    sealed class Traffic : IDisposable
    {
        private readonly Pair pair = new Pair();
        private readonly Thread server, client;
        private volatile bool stopping;
        private Exception failure;
        public int Echoes;

        public Traffic()
        {
            server = new Thread(() => Guard(Serve));
            client = new Thread(() => Guard(Load));
            server.Start();
            client.Start();
            Check.Until(() => Echoes > 10, "traffic");
        }

        private void Guard(Action action)
        {
            try {
                action();
            } catch (Exception e) {
                failure = failure ?? e;
            }
        }

        private void Serve()
        {
            using (var batch = new MessageBatch(8))
                while (!stopping)
                    if (pair.Server.Receive(batch) > 0 && batch[0].Event == StreamEvent.Data)
                        pair.Server.Send(batch);
        }

        private void Load()
        {
            using (var batch = new MessageBatch(8)) {
                for (byte number = 0; !stopping; number++) {
                    batch.Clear();
                    batch.Add(pair.ClientPeer, new[] { number });
                    pair.Client.Send(batch);
                    Check.Equal(1, pair.Client.Receive(batch), "echoes");
                    Check.Equal(number, batch[0].Body[0], "echo");
                    Echoes++;
                }
            }
        }

        // Waits for echoes that began after now, and checks that none went wrong.
        public void GoesOn()
        {
            int seen = Echoes;
            Check.Until(() => failure != null || Echoes > seen + 10, "more traffic");
            if (failure != null)
                throw failure;
        }

        public void Dispose()
        {
            stopping = true;
            Check.Join(client, "the client");
            // The server may have gone to sleep before it saw that.
            pair.Batch.Clear();
            pair.Batch.Add(pair.ClientPeer, new byte[1]);
            pair.Client.Send(pair.Batch);
            Check.Join(server, "the server");
            pair.Dispose();
        }
    }

    static void FaultsOnThisThread()
    {
        string nothing = null;
        int zero = Math.Min(0, Environment.TickCount & 1);
        for (int i = 0; i < 100; i++) {
            // SIGSEGV and SIGFPE, which the runtime turns into exceptions.
            Check.Throws<NullReferenceException>(() => Check.Equal(0, nothing.Length, ""), "SIGSEGV");
            Check.Throws<DivideByZeroException>(() => Check.Equal(0, 1 / zero, ""), "SIGFPE");
        }
    }

    // Faults of managed code are still exceptions, on threads that have been in
    // the library and on others, while it works.
    public static void Faults()
    {
        using (var traffic = new Traffic())
        using (var pair = new Pair()) {
            FaultsOnThisThread();
            Exception failure = null;
            var other = new Thread(() => {
                try {
                    FaultsOnThisThread();
                } catch (Exception e) {
                    failure = e;
                }
            });
            other.Start();
            Check.Join(other, "the other thread");
            Check.That(failure == null, "no failure: " + failure);
            traffic.GoesOn();
        }
    }

    // The collector stops every thread, with signals or without, also those that
    // are in a call; no call fails or loses its wait for that.
    public static void Collections()
    {
        using (var traffic = new Traffic()) {
            for (int i = 0; i < 200; i++) {
                GC.KeepAlive(new byte[100000]);
                GC.Collect(i % 2);
            }
            traffic.GoesOn();
        }
        // A long wait that collections interrupt.
        using (var pair = new Pair())
        using (var batch = new MessageBatch(1)) {
            int received = -1;
            var receiver = new Thread(() => received = pair.Server.Receive(batch));
            receiver.Start();
            for (int i = 0; i < 50; i++) {
                Thread.Sleep(1);
                GC.Collect();
            }
            Check.Equal(-1, received, "the wait goes on");
            pair.Batch.Clear();
            pair.Batch.Add(pair.ClientPeer, new byte[1]);
            pair.Client.Send(pair.Batch);
            Check.Join(receiver, "the receiver");
            Check.Equal(1, received, "messages");
        }
    }
}
