// SPDX-License-Identifier: MPL-2.0
// zlink for C#: contexts and STREAM sockets in the mode FAST. README.md tells
// who owns what and which thread may do what.
using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Zlink
{
    // Errno values that callers decide by.
    public static class Errno
    {
        public const int EINTR = 4;
        public const int EAGAIN = 11;
        public const int EBUSY = 16;
        public const int EINVAL = 22;
        public const int ENOTSUP = 95;
        public const int EADDRINUSE = 98;
        public const int EHOSTUNREACH = 113;
        public const int ETERM = 156384765; // the context was shut down
    }

    public enum ContextOption
    {
        IoThreads = 1,
        MaxSockets = 2,
        MaxMessageSize = 5,
        Ipv6 = 42,
        Blocky = 70
    }

    // doc/options.md gives meaning and range of each.
    public enum Option
    {
        Affinity = 4, // ulong
        RoutingId = 5, // string
        SendBuffer = 11,
        ReceiveBuffer = 12,
        Fd = 14, // get only, as are the next two
        Events = 15,
        Type = 16,
        Linger = 17,
        ReconnectInterval = 18,
        Backlog = 19,
        ReconnectIntervalMax = 21,
        MaxMessageSize = 22, // long
        SendHighWaterMark = 23,
        ReceiveHighWaterMark = 24,
        ReceiveTimeout = 27,
        SendTimeout = 28,
        LastEndpoint = 32, // string, get only
        TcpKeepalive = 34,
        TcpKeepaliveCount = 35,
        TcpKeepaliveIdle = 36,
        TcpKeepaliveInterval = 37,
        Immediate = 39,
        Ipv6 = 42,
        Tos = 57,
        ConnectRoutingId = 61, // string, set only
        HandshakeInterval = 66,
        HeartbeatInterval = 75,
        HeartbeatTtl = 76,
        HeartbeatTimeout = 77,
        ConnectTimeout = 79,
        TcpMaxRetransmit = 80,
        UseFd = 89,
        BindToDevice = 92, // string
        TlsCert = 95,      // string, as are the next two
        TlsKey = 96,
        TlsCa = 97,
        TlsVerify = 98,
        TlsRequireClientCert = 99,
        TlsHostname = 100, // string
        TlsTrustSystem = 101,
        TlsPassword = 102, // string
        Mode = 300, // FAST; the binding sets it
        CloseTimeout = 301,
        IdleTimeout = 312,
        FirstMessageTimeout = 313,
        MaxAge = 314,
        HeaderMax = 302,
        TlsCiphers = 303, // string
        SendBytes = 304,
        SendBytesTotal = 305, // long
        FullPolicy = 306, // 0 AGAIN, 1 DROP_NEWEST, 2 DROP_OLDEST, 3 CUT
        ReceiveBytes = 307,
        ReceiveBytesTotal = 308, // long
        RateMessages = 309,
        RateBytes = 310,
        RatePolicy = 311, // 0: a peer that sends more is read later; 1: it loses its connection
        Profile = 324, // 0: PRIVATE; 1: PUBLIC sets the limits of a server on the internet
        MaxConnections = 315,
        AddressConnections = 316,
        AddressPrefix4 = 317,
        AddressPrefix6 = 318,
        AcceptRate = 319,
        AddressAcceptRate = 320,
        Allow = 321, // string, as is the next one
        Deny = 322,
        Handshakes = 323,
        Properties = 325, // string: what is kept of each peer
        PropertyBytes = 326,
        ProxyFrom = 327, // string: addresses of proxies
        WsProtocols = 328, // string, as are the next two
        WsOrigins = 329,
        WsHealthPath = 330,
        AcceptTimeout = 333, // ms in which AcceptPeer or RefusePeer decides
        WsPaths = 334, // string: paths besides that of the endpoint
        PeerData = 335,
        TlsAlpn = 336, // string, as are the next two
        TlsTicketKeys = 337,
        TlsOcsp = 338,
        TlsMinVersion = 339, // 12 or 13
        TlsCerts = 340, // string
        ListenName = 346, // string: of a descriptor that systemd has passed
        ReusePort = 345, // 1: others with the option may bind the endpoint, too
        Framing = 331, // 0: a length of 4 bytes; 1: messages of WebSocket; 2: raw bytes; 3: headers
        WsDeflate = 332
    }

    // A call that failed: its errno, and what exactly it objected to.
    public sealed class ZlinkException : Exception
    {
        public int Errno { get; private set; }

        // One sentence, or "".
        public string Detail { get; private set; }

        private ZlinkException(string message, int errno, string detail) : base(message)
        {
            Errno = errno;
            Detail = detail;
        }

        // Of the calling thread's last call, which failed with errno.
        internal static ZlinkException Of(string call, int errno)
        {
            string detail = Text.Read(Native.zlink_error_detail());
            string message = call + ": " + Text.Read(Native.zlink_strerror(errno));
            return new ZlinkException(detail == "" ? message : message + ": " + detail, errno, detail);
        }

        // Of the binding itself.
        internal static ZlinkException Of(string call, int errno, string detail)
        {
            return new ZlinkException(call + ": " + Text.Read(Native.zlink_strerror(errno)) + ": " + detail, errno, detail);
        }

        internal static ZlinkException OfLast(string call)
        {
            return Of(call, Marshal.GetLastWin32Error());
        }
    }

    public static class Library
    {
        // Loads libzlink.so from this path; without it the system's loader looks
        // for libzlink.so.5. Before any other use of the binding.
        public static void Load(string path)
        {
            const int now = 2, global = 0x100;
            if (Native.dlopen(Text.Bytes(path), now | global) == IntPtr.Zero)
                throw new DllNotFoundException(Text.Read(Native.dlerror()));
        }

        // Has a function get what happens at all sockets of the process, up to a level; null, or None, ends it. It
        // runs on a background thread of the binding, one line after another, and holds up no socket: what is too much
        // is counted. It may use everything. When SetLog returns, the function before does not run any more,
        // unless it is what calls SetLog.
        public static void SetLog(LogLevel level, Action<LogLevel, string> log)
        {
            Log.Set(level, log);
        }

        public static Version Version
        {
            get {
                int major, minor, patch;
                Native.zlink_version(out major, out minor, out patch);
                return new Version(major, minor, patch);
            }
        }
    }

    // The io threads, and what sockets share. Any thread may use it.
    public sealed class Context : IDisposable
    {
        internal readonly ContextHandle Handle;

        public Context()
        {
            Handle = Native.zlink_ctx_new();
            if (Handle.IsInvalid)
                throw ZlinkException.OfLast("zlink_ctx_new");
        }

        public void Set(ContextOption option, int value)
        {
            if (Native.zlink_ctx_set(Handle, (int) option, value) != 0)
                throw ZlinkException.OfLast("zlink_ctx_set");
        }

        public int Get(ContextOption option)
        {
            int value = Native.zlink_ctx_get(Handle, (int) option);
            if (value < 0)
                throw ZlinkException.OfLast("zlink_ctx_get");
            return value;
        }

        // Lets programs of the same user, such as zlink-top, ask for the statistics of all its sockets
        // through a local socket. Null ends that.
        public void SetAdmin(string path)
        {
            if (Native.zlink_ctx_set_admin(Handle, path == null ? null : Text.Bytes(path)) != 0)
                throw ZlinkException.OfLast("zlink_ctx_set_admin");
        }

        // Makes every blocked and later call on its sockets fail with ETERM.
        public void Shutdown()
        {
            if (Native.zlink_ctx_shutdown(Handle) != 0)
                throw ZlinkException.OfLast("zlink_ctx_shutdown");
        }

        // Shuts down. Whoever is later, this or the Dispose of its last socket,
        // waits until what was sent is out (Option.Linger) and frees it.
        public void Dispose()
        {
            if (Handle.IsClosed)
                return;
            Shutdown();
            Handle.Dispose();
        }
    }

    // A STREAM socket: many peers, each named by a number. One thread at a time,
    // except for sending: see README.md.
    public sealed partial class StreamSocket : IDisposable
    {
        private const int ModeFast = 1;
        private const int LongestText = 65536;

        private readonly SocketHandle handle;

        public StreamSocket(Context context)
        {
            handle = Native.zlink_socket(context.Handle, Native.TypeStream);
            if (handle.IsInvalid)
                throw ZlinkException.OfLast("zlink_socket");
            handle.Hold(context.Handle);
            Set(Option.Mode, ModeFast);
        }

        public void Set(Option option, int value)
        {
            Set(option, BitConverter.GetBytes(value));
        }

        public void Set(Option option, long value)
        {
            Set(option, BitConverter.GetBytes(value));
        }

        public void Set(Option option, string value)
        {
            Set(option, Text.WithoutNul(value));
        }

        public void Set(Option option, byte[] value)
        {
            if (Native.zlink_setsockopt(handle, (int) option, value, new UIntPtr((uint) value.Length)) != 0)
                throw ZlinkException.OfLast("zlink_setsockopt");
        }

        public int GetInt(Option option)
        {
            return BitConverter.ToInt32(Get(option, sizeof(int)), 0);
        }

        public long GetLong(Option option)
        {
            return BitConverter.ToInt64(Get(option, sizeof(long)), 0);
        }

        public string GetString(Option option)
        {
            return Encoding.UTF8.GetString(Get(option, LongestText)).TrimEnd('\0');
        }

        private byte[] Get(Option option, int capacity)
        {
            var value = new byte[capacity];
            var size = new UIntPtr((uint) capacity);
            if (Native.zlink_getsockopt(handle, (int) option, value, ref size) != 0)
                throw ZlinkException.OfLast("zlink_getsockopt");
            Array.Resize(ref value, (int) size);
            return value;
        }

        // The last bound endpoint, with the port that the system chose.
        public string LastEndpoint
        {
            get { return GetString(Option.LastEndpoint); }
        }

        public void Bind(string endpoint)
        {
            if (Native.zlink_bind(handle, Text.Bytes(endpoint)) != 0)
                throw ZlinkException.OfLast("zlink_bind");
        }

        public void Connect(string endpoint)
        {
            if (Native.zlink_connect(handle, Text.Bytes(endpoint)) != 0)
                throw ZlinkException.OfLast("zlink_connect");
        }

        public void Unbind(string endpoint)
        {
            if (Native.zlink_unbind(handle, Text.Bytes(endpoint)) != 0)
                throw ZlinkException.OfLast("zlink_unbind");
        }

        public void Disconnect(string endpoint)
        {
            if (Native.zlink_disconnect(handle, Text.Bytes(endpoint)) != 0)
                throw ZlinkException.OfLast("zlink_disconnect");
        }

        // Fills the batch with what is there, waiting for the first message only
        // (Option.ReceiveTimeout), or not at all. Returns batch.Count; 0: none
        // came in time. What the batch held before is released.
        public int Receive(MessageBatch batch, bool wait = true)
        {
            batch.Count = 0;
            for (;;) {
                int count = Native.zlink_stream_recv_batch(
                    handle, batch.At(0), new UIntPtr((uint) batch.Capacity), wait ? 0 : Native.DontWait);
                if (count > 0) {
                    batch.Count = count;
                    return count;
                }
                int error = Marshal.GetLastWin32Error();
                if (error == Errno.EAGAIN)
                    return 0;
                // Signals are the runtime's here, and no reason to stop.
                if (error != Errno.EINTR)
                    throw ZlinkException.Of("zlink_stream_recv_batch", error);
            }
        }

        // Sends messages of the batch in order and returns how many were taken;
        // these are empty afterwards. When it is 0, error says why the first was
        // not: EHOSTUNREACH, its peer has gone; or EAGAIN, the peer's queue is
        // full (Option.SendTimeout). Any other error is an exception. Events are
        // not sent: they stay, and count as taken.
        public int TrySend(MessageBatch batch, int first, int count, bool wait, out int error)
        {
            if (first < 0 || count < 1 || count > batch.Count - first)
                throw new ArgumentOutOfRangeException("count");
            bool data = batch.IsData(first);
            int run = 1;
            while (run < count && batch.IsData(first + run) == data)
                run++;
            count = run;
            error = 0;
            if (!data)
                return count;
            for (;;) {
                int sent = Native.zlink_stream_send_batch(
                    handle, batch.At(first), new UIntPtr((uint) count), wait ? 0 : Native.DontWait);
                error = sent > 0 ? 0 : Marshal.GetLastWin32Error();
                GC.KeepAlive(batch);
                if (sent > 0)
                    return sent;
                if (error == Errno.EAGAIN || error == Errno.EHOSTUNREACH)
                    return 0;
                if (error != Errno.EINTR)
                    throw ZlinkException.Of("zlink_stream_send_batch", error);
            }
        }

        // Sends what is in the batch without waiting: received messages go back to their peers. refused is told of each
        // that was not taken, by its place and the errno, EAGAIN or EHOSTUNREACH. Returns how many these are.
        public int TrySend(MessageBatch batch, Action<int, int> refused)
        {
            int left = 0;
            for (int first = 0; first < batch.Count;) {
                int error;
                int sent = TrySend(batch, first, batch.Count - first, false, out error);
                if (error == 0) {
                    first += sent;
                    continue;
                }
                left++;
                refused(first++, error);
            }
            return left;
        }

        // Sends all of them, except those whose peer has gone: returns how many
        // these were.
        public int Send(MessageBatch batch, int first, int count)
        {
            if (first < 0 || count < 0 || count > batch.Count - first)
                throw new ArgumentOutOfRangeException("count");
            int gone = 0;
            for (int end = first + count; first < end;) {
                int error;
                int sent = TrySend(batch, first, end - first, true, out error);
                if (error == Errno.EAGAIN)
                    throw ZlinkException.Of("zlink_stream_send_batch", error);
                if (error != 0)
                    gone++;
                first += error == 0 ? sent : 1;
            }
            return gone;
        }

        public int Send(MessageBatch batch)
        {
            return Send(batch, 0, batch.Count);
        }

        // Sends a message of the batch to its peer, whichever socket of the process has that one, and returns
        // whether it was taken; error is as for TrySend. EHOSTUNREACH also: the peer's socket is closed. Any
        // thread, as long as it has the batch for itself.
        public static bool TrySendAny(MessageBatch batch, int index, bool wait, out int error)
        {
            for (;;) {
                int sent = Native.zlink_stream_send_any(batch.InUse(index), wait ? 0 : Native.DontWait);
                error = sent >= 0 ? 0 : Marshal.GetLastWin32Error();
                GC.KeepAlive(batch);
                if (sent >= 0)
                    return true;
                if (error == Errno.EAGAIN || error == Errno.EHOSTUNREACH)
                    return false;
                if (error != Errno.EINTR)
                    throw ZlinkException.Of("zlink_stream_send_any", error);
            }
        }

        // Sends a message of the batch to all of these peers, whatever peer it has, and returns how many
        // took it. The message is empty afterwards. errors, if not null, gets 0 or an errno for each
        // peer. It never waits. Any thread, as long as it has the batch for itself; so are the next
        // three.
        public int Multicast(uint[] peers, MessageBatch batch, int index = 0, int[] errors = null)
        {
            if (errors != null && errors.Length < peers.Length)
                throw new ArgumentOutOfRangeException("errors");
            return Taken(batch, "zlink_stream_multicast", Native.zlink_stream_multicast(
                handle, peers, new UIntPtr((uint) peers.Length), batch.InUse(index), 0, errors));
        }

        // Makes a peer a member of a group, of 1 to 255 bytes of UTF-8, until it leaves or its
        // connection ends.
        public void Join(uint peer, string group)
        {
            if (Native.zlink_stream_join(handle, peer, Text.Bytes(group)) != 0)
                throw ZlinkException.OfLast("zlink_stream_join");
        }

        public void Leave(uint peer, string group)
        {
            if (Native.zlink_stream_leave(handle, peer, Text.Bytes(group)) != 0)
                throw ZlinkException.OfLast("zlink_stream_leave");
        }

        // Multicast to the members of a group; exceptSender: not to the peer that the message has.
        public int Publish(string group, MessageBatch batch, int index = 0, bool exceptSender = false)
        {
            return Taken(batch, "zlink_stream_publish", Native.zlink_stream_publish(
                handle, Text.Bytes(group), batch.InUse(index), exceptSender ? Native.Except : 0));
        }

        // The same; the message takes the place of the unsent one with the same key.
        public int Publish(string group, ulong key, MessageBatch batch, int index = 0)
        {
            return Taken(batch, "zlink_stream_publish_key", Native.zlink_stream_publish_key(
                handle, Text.Bytes(group), batch.InUse(index), key, 0));
        }

        private static int Taken(MessageBatch batch, string call, int result)
        {
            if (result < 0)
                throw ZlinkException.OfLast(call);
            GC.KeepAlive(batch);
            return result;
        }

        // Closes the connection once everything queued for it has arrived. False: it had ended already, which a program
        // that is told later cannot know.
        public bool ClosePeer(uint peer)
        {
            return WasThere(Native.zlink_stream_close_peer(handle, peer), "zlink_stream_close_peer");
        }

        // The same; a peer of ws or wss is told the code and the reason, which may be null.
        public bool ClosePeer(uint peer, int code, string reason)
        {
            byte[] text = reason == null ? null : Text.Bytes(reason);
            return WasThere(Native.zlink_stream_close_peer_with(handle, peer, code, text), "zlink_stream_close_peer_with");
        }

        // Resets the connection, also one that is being closed; what is queued for it is discarded. False: it had ended
        // already.
        public bool AbortPeer(uint peer)
        {
            return WasThere(Native.zlink_stream_abort_peer(handle, peer), "zlink_stream_abort_peer");
        }

        private static bool WasThere(int result, string call)
        {
            if (result == 0)
                return true;
            int error = Marshal.GetLastWin32Error();
            if (error == Errno.EHOSTUNREACH)
                return false;
            throw ZlinkException.Of(call, error);
        }

        // A property of a peer that is there, such as "Peer-Address" or "WS-Path"; null: it has none.
        // Option.Properties names what is kept of peers. Any thread.
        public string PeerProperty(uint peer, string name)
        {
            byte[] property = Text.Bytes(name), text = new byte[256];
            for (;;) {
                int size = Native.zlink_stream_peer_gets(handle, peer, property, text, new UIntPtr((uint) text.Length));
                if (size < 0 && Marshal.GetLastWin32Error() == Errno.EINVAL && peer != 0)
                    return null;
                if (size < 0)
                    throw ZlinkException.OfLast("zlink_stream_peer_gets");
                if (size < text.Length)
                    return System.Text.Encoding.UTF8.GetString(text, 0, size);
                text = new byte[size + 1];
            }
        }

        // Takes somebody who asks (StreamEvent.Asking) as a peer. Option.AcceptTimeout must have been set at
        // Bind. Any thread; of several decisions the first counts.
        public void AcceptPeer(uint peer)
        {
            if (Native.zlink_stream_accept_peer(handle, peer) != 0)
                throw ZlinkException.OfLast("zlink_stream_accept_peer");
        }

        // The same of somebody who requests a WebSocket, with the subprotocol of the answer: one of those that
        // the request offers, or "" for none.
        public void AcceptPeer(uint peer, string protocol)
        {
            byte[] bytes = Text.Bytes(protocol);
            if (Native.zlink_stream_accept_peer_with(handle, peer, bytes) != 0)
                throw ZlinkException.OfLast("zlink_stream_accept_peer_with");
        }

        // Turns somebody who asks away. A request for a WebSocket is answered with the status (0: 403) and the text.
        public void RefusePeer(uint peer, int status = 0, string text = null)
        {
            byte[] bytes = text == null ? null : Text.Bytes(text);
            if (Native.zlink_stream_refuse_peer(handle, peer, status, bytes) != 0)
                throw ZlinkException.OfLast("zlink_stream_refuse_peer");
        }

        private static readonly Native.FreeFn freePeerData = FreePeerData;

        private static void FreePeerData(IntPtr data, IntPtr hint)
        {
            GCHandle.FromIntPtr(data).Free();
        }

        // Gives an object for a peer, which Message.PeerData has on each of its messages, also on those
        // received before. Option.PeerData must have been 1 at Bind or Connect. The library keeps the object
        // until other data is given, or the peer has gone and its messages are cleared. Any thread; no other
        // thread may read PeerData of that peer meanwhile.
        public void SetPeerData(uint peer, object data)
        {
            GCHandle kept = GCHandle.Alloc(data);
            if (Native.zlink_stream_set_peer_data(handle, peer, GCHandle.ToIntPtr(kept), freePeerData, IntPtr.Zero) != 0) {
                int error = Marshal.GetLastWin32Error();
                kept.Free();
                throw ZlinkException.Of("zlink_stream_set_peer_data", error);
            }
        }

        // Gives the listeners to the process that calls Takeover at that path, and waits for it (-1: without end).
        // Both accept connections then, until Unbind or Drain ends that here. Any thread.
        public void Handover(string path, int timeoutMs)
        {
            if (Native.zlink_stream_handover(handle, Text.Bytes(path), -1, timeoutMs) != 0)
                throw ZlinkException.OfLast("zlink_stream_handover");
        }

        // Binds the endpoints of the process that hands over at that path.
        public void Takeover(string path, int timeoutMs)
        {
            if (Native.zlink_stream_takeover(handle, Text.Bytes(path), -1, timeoutMs) != 0)
                throw ZlinkException.OfLast("zlink_stream_takeover");
        }

        // Stops listening and dialling, and ends all peers over that time; those of ws and wss are told
        // the code (0: 1001). StreamEvent.Drained says when nobody is left. Any thread.
        public void Drain(int spreadMs, int code = 0)
        {
            if (Native.zlink_stream_drain(handle, spreadMs, code) != 0)
                throw ZlinkException.OfLast("zlink_stream_drain");
        }

        // Returns at once; what was sent goes out as Option.Linger says.
        public void Dispose()
        {
            handle.Dispose();
            Waiting.Release(Awaited()); // of a ReceiveAsync that begins later the next call fails
        }
    }

    internal static class Text
    {
        // A C string. The marshaller's own conversion differs between runtimes.
        public static byte[] Bytes(string text)
        {
            byte[] bytes = WithoutNul(text);
            Array.Resize(ref bytes, bytes.Length + 1);
            return bytes;
        }

        // C would take a NUL as the end, and mean another name.
        public static byte[] WithoutNul(string text)
        {
            if (text == null)
                throw new ArgumentNullException("text");
            if (text.IndexOf('\0') >= 0)
                throw new ArgumentException("a text without a NUL is wanted");
            return Encoding.UTF8.GetBytes(text);
        }

        public static unsafe string Read(IntPtr text)
        {
            if (text == IntPtr.Zero)
                return "";
            int length = 0;
            while (((byte*) text)[length] != 0)
                length++;
            return Encoding.UTF8.GetString((byte*) text, length);
        }
    }
}
