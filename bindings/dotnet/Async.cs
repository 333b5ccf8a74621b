// SPDX-License-Identifier: MPL-2.0
using System;
using System.Threading;
using System.Threading.Tasks;

namespace Zlink
{
    // What waits without a thread of the caller.
    public sealed partial class StreamSocket
    {
        private const int PollIn = 1, LongestPauseMs = 32;

        private int awaiting;       // 1: somebody awaits ReceiveAsync
        private int descriptor = -1; // that is waited for

        // As Receive, but it waits for the first message without a thread, and whatever Option.ReceiveTimeout says. One at a time:
        // EBUSY. Context.Shutdown ends it with ETERM, Dispose with an ObjectDisposedException, and a cancellation loses nothing.
        public async ValueTask<int> ReceiveAsync(MessageBatch batch, CancellationToken cancel = default(CancellationToken))
        {
            if (Interlocked.Exchange(ref awaiting, 1) == 1)
                throw ZlinkException.Of("ReceiveAsync", Errno.EBUSY, "somebody receives from this socket already");
            try {
                for (;;) {
                    cancel.ThrowIfCancellationRequested();
                    int count = Receive(batch, false);
                    if (count > 0)
                        return count;
                    await Readable(cancel).ConfigureAwait(false);
                }
            } finally {
                Volatile.Write(ref awaiting, 0);
            }
        }

        private async Task Readable(CancellationToken cancel)
        {
            int fd = GetInt(Option.Fd);
            Volatile.Write(ref descriptor, fd);
            Task readable = Waiting.For(fd);
            try {
                // To be read before the descriptor is waited for; it fails when Dispose came before that.
                if ((GetInt(Option.Events) & PollIn) != 0)
                    return;
                using (cancel.Register(() => Waiting.Release(fd)))
                    await readable.ConfigureAwait(false);
            } finally {
                Volatile.Write(ref descriptor, -1);
                Waiting.Release(fd);
            }
        }

        // As Send, but while a peer's queue is full it tries again after 1 to 32 ms, without a thread. Returns how many messages
        // had no peer any more.
        public async ValueTask<int> SendAsync(MessageBatch batch, CancellationToken cancel = default(CancellationToken))
        {
            int gone = 0, pause = 1;
            for (int first = 0; first < batch.Count;) {
                int error;
                int sent = TrySend(batch, first, batch.Count - first, false, out error);
                if (error == Errno.EAGAIN) {
                    await Task.Delay(pause, cancel).ConfigureAwait(false);
                    pause = Math.Min(2 * pause, LongestPauseMs);
                    continue;
                }
                pause = 1;
                gone += error == 0 ? 0 : 1;
                first += error == 0 ? sent : 1;
            }
            return gone;
        }

        // The descriptor that somebody awaits, or -1.
        private int Awaited()
        {
            return Volatile.Read(ref descriptor);
        }
    }
}
