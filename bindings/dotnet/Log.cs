// SPDX-License-Identifier: MPL-2.0
using System;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace Zlink
{
    // How much the log tells: each includes those before it.
    public enum LogLevel
    {
        None = 0,
        Error = 1,   // an endpoint or a descriptor cannot be had
        Warning = 2, // failed handshakes, limits, connections that ended badly
        Info = 3,    // connections, listeners
        Debug = 4    // each step of a connection
    }

    // The log of the process (Library.SetLog). The library writes lines into a pipe, and a thread of the runtime reads
    // them: a thread of the library, on which signals are blocked, must not enter mono, whose collector would wait for it.
    internal sealed class Log
    {
        private const int CloseOnExec = 0x80000, NonBlocking = 0x800, SetFlags = 4, Interrupted = 4;
        private const int Now = 2, NoLoad = 4;
        private static readonly string[] names = { "none", "error", "warning", "info", "debug" };

        [DllImport("libc", SetLastError = true)]
        private static extern int pipe2([Out] int[] ends, int flags);

        [DllImport("libc", SetLastError = true)]
        private static extern int fcntl(int descriptor, int command, int value);

        [DllImport("libc")]
        private static extern int close(int descriptor);

        // The array does not move meanwhile.
        [DllImport("libc", SetLastError = true)]
        private static extern IntPtr read(int descriptor, ref byte buffer, UIntPtr size);

        private static readonly object one = new object();
        private static Log current; // null: there is none

        private readonly Action<LogLevel, string> call;
        private readonly int end; // where the library writes
        private readonly Thread reader;
        private volatile bool over;

        private Log(Action<LogLevel, string> call)
        {
            var ends = new int[2];
            if (pipe2(ends, CloseOnExec) != 0)
                throw ZlinkException.OfLast("zlink_set_log");
            fcntl(ends[1], SetFlags, NonBlocking);
            this.call = call;
            end = ends[1];
            reader = new Thread(() => Read(ends[0])) { IsBackground = true, Name = "zlink log" };
            reader.Start();
        }

        public static void Set(LogLevel level, Action<LogLevel, string> call)
        {
            Log next = null, before;
            if (level < LogLevel.None || level > LogLevel.Debug)
                throw new ArgumentOutOfRangeException("level");
            lock (one) {
                if (call != null && level != LogLevel.None)
                    next = new Log(call);
                int failed = next == null
                    ? Native.zlink_set_log(IntPtr.Zero, 0, IntPtr.Zero)
                    : Native.zlink_set_log(Writer(), (int) level, (IntPtr) next.end);
                if (failed != 0) {
                    var error = ZlinkException.OfLast("zlink_set_log");
                    if (next != null)
                        next.End();
                    throw error;
                }
                before = current;
                current = next;
                if (before != null)
                    before.End();
            }
            if (before != null && Thread.CurrentThread != before.reader)
                before.reader.Join();
        }

        private void End()
        {
            over = true;
            close(end); // the reader comes to the end of the pipe
        }

        // The library's function for it; the library is loaded.
        private static IntPtr Writer()
        {
            int major, minor, patch;
            Native.zlink_version(out major, out minor, out patch);
            IntPtr library = Native.dlopen(Zlink.Text.Bytes(Native.Lib), Now | NoLoad);
            IntPtr writer = library == IntPtr.Zero ? library : Native.dlsym(library, Zlink.Text.Bytes("zlink_log_to_fd"));
            if (writer == IntPtr.Zero)
                throw new EntryPointNotFoundException(Zlink.Text.Read(Native.dlerror()));
            return writer;
        }

        private void Read(int descriptor)
        {
            var buffer = new byte[4096]; // no line is longer
            int size = 0;
            for (;;) {
                long got = (long) read(descriptor, ref buffer[size], (UIntPtr) (buffer.Length - size));
                if (got < 0 && Marshal.GetLastWin32Error() == Interrupted)
                    continue;
                if (got <= 0)
                    break;
                int from = 0;
                for (int at = size, end = size += (int) got; at < end; at++)
                    if (buffer[at] == '\n') {
                        Tell(Encoding.UTF8.GetString(buffer, from, at - from));
                        from = at + 1;
                    }
                Array.Copy(buffer, from, buffer, 0, size -= from);
            }
            close(descriptor);
        }

        private void Tell(string line)
        {
            int space = line.IndexOf(' ');
            int level = space < 0 ? -1 : Array.IndexOf(names, line.Substring(0, space));
            if (level > 0 && !over)
                call((LogLevel) level, line.Substring(space + 1));
        }
    }
}
