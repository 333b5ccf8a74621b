// SPDX-License-Identifier: MPL-2.0
// A game at 30 Hz: Tick [ENDPOINT]. Players send how far they move, one byte for each of two directions. Every tick all get the
// places of all. A player who reads slowly gets the newest state, however many ticks it has missed.
using System;
using System.Diagnostics;
using System.Threading;
using Zlink;

static class Tick
{
    const int Players = 1024, Head = 2;
    const ulong World = 1; // the key of the state
    static readonly TimeSpan Length = TimeSpan.FromTicks(TimeSpan.TicksPerSecond / 30);

    // The tick and how many are present, in two places each; then two places of each player.
    static readonly short[] state = new short[2 * Head + 2 * Players];

    static void Count(int at, int by)
    {
        int sum = ((ushort) state[at] | state[at + 1] << 16) + by;
        state[at] = (short) sum;
        state[at + 1] = (short) (sum >> 16);
    }

    static void Play(StreamSocket server, Message message)
    {
        int place = 2 * Head + (int) (message.Peer % Players) * 2;
        lock (state) {
            if (message.Event == StreamEvent.Connected) {
                Count(Head, 1);
                state[place] = state[place + 1] = 0;
                try {
                    server.Join(message.Peer, "players");
                } catch (ZlinkException) { // it has gone
                }
            } else if (message.Event == StreamEvent.Disconnected)
                Count(Head, -1);
            else if (message.Event == StreamEvent.Data && message.Size == 2)
                for (int i = 0; i < 2; i++)
                    state[place + i] += (sbyte) message.Body[i];
        }
    }

    static void RunTicks(StreamSocket server)
    {
        var bytes = new byte[state.Length * sizeof(short)];
        var clock = Stopwatch.StartNew();
        using (var batch = new MessageBatch(1))
            for (TimeSpan due = Length;; due += Length) {
                TimeSpan pause = due - clock.Elapsed;
                if (pause > TimeSpan.Zero)
                    Thread.Sleep(pause);
                lock (state) {
                    Count(0, 1);
                    Buffer.BlockCopy(state, 0, bytes, 0, bytes.Length);
                }
                try {
                    batch.Clear();
                    batch.Add(1, bytes); // to whom, the group says
                    server.Publish("players", World, batch);
                } catch (ZlinkException e) {
                    if (e.Errno != Errno.EAGAIN) // it is too much now, and the next one has the newer state
                        return; // the end
                }
            }
    }

    static void Main(string[] arguments)
    {
        using (var context = new Context())
        using (var server = new StreamSocket(context))
        using (var batch = new MessageBatch(256)) {
            server.Set(Option.SendBuffer, 32 << 10); // what the kernel has cannot be replaced
            server.Bind(arguments.Length > 0 ? arguments[0] : "tcp://127.0.0.1:5555");
            Console.WriteLine(server.LastEndpoint);
            new Thread(() => RunTicks(server)) { IsBackground = true }.Start();
            while (server.Receive(batch) > 0)
                for (int i = 0; i < batch.Count; i++)
                    Play(server, batch[i]);
        }
    }
}
