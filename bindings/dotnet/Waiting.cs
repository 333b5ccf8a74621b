// SPDX-License-Identifier: MPL-2.0
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace Zlink
{
    // One thread that waits for the descriptors of all sockets that somebody awaits. It begins with the first one, and
    // does not keep the process.
    internal static class Waiting
    {
        [StructLayout(LayoutKind.Sequential)]
        private struct PollFd
        {
            public int Fd;
            public short Events;
            public short Revents;
        }

        private const short Readable = 1;
        private const int NonBlockingCloseOnExec = 0x800 | 0x80000;
        private const int Eintr = 4;

        [DllImport("libc", SetLastError = true)]
        private static extern int poll([In, Out] PollFd[] descriptors, UIntPtr count, int timeout);

        [DllImport("libc", SetLastError = true)]
        private static extern int eventfd(uint value, int flags);

        [DllImport("libc", SetLastError = true)]
        private static extern IntPtr write(int descriptor, ref ulong value, UIntPtr size);

        [DllImport("libc", SetLastError = true)]
        private static extern IntPtr read(int descriptor, out ulong value, UIntPtr size);

        private static readonly Dictionary<int, TaskCompletionSource<bool>> waiting = new Dictionary<int, TaskCompletionSource<bool>>();
        private static int changed = -1; // an eventfd: what is waited for is other than it was

        // A task that ends once the descriptor is readable, or by Release. One for a descriptor.
        public static Task For(int descriptor)
        {
            var wait = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (waiting) {
                if (changed < 0)
                    Begin();
                waiting[descriptor] = wait;
                Wake();
            }
            return wait.Task;
        }

        // Ends the wait for a descriptor, which may be closed then.
        public static void Release(int descriptor)
        {
            TaskCompletionSource<bool> wait;
            lock (waiting) {
                if (!waiting.TryGetValue(descriptor, out wait))
                    return;
                waiting.Remove(descriptor);
                Wake();
            }
            wait.TrySetResult(true);
        }

        private static void Begin()
        {
            changed = eventfd(0, NonBlockingCloseOnExec);
            if (changed < 0)
                throw ZlinkException.OfLast("eventfd");
            new Thread(Run) { IsBackground = true, Name = "zlink" }.Start();
        }

        private static void Wake()
        {
            ulong one = 1;
            write(changed, ref one, new UIntPtr(sizeof(ulong)));
        }

        private static void Run()
        {
            for (;;) {
                PollFd[] all = All();
                if (poll(all, new UIntPtr((uint) all.Length), -1) < 0 && Marshal.GetLastWin32Error() != Eintr)
                    Thread.Sleep(1); // there is no memory
                ulong count;
                read(changed, out count, new UIntPtr(sizeof(ulong)));
                for (int i = 1; i < all.Length; i++)
                    if (all[i].Revents != 0) // also when somebody else has that number now, who tries once more then
                        Release(all[i].Fd);
            }
        }

        private static PollFd[] All()
        {
            lock (waiting) {
                var all = new PollFd[waiting.Count + 1];
                all[0].Fd = changed;
                int i = 1;
                foreach (int descriptor in waiting.Keys)
                    all[i++].Fd = descriptor;
                for (i = 0; i < all.Length; i++)
                    all[i].Events = Readable;
                return all;
            }
        }
    }
}
