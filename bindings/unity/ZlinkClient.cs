// SPDX-License-Identifier: MPL-2.0
// A client of a STREAM socket for Unity, .NET and mono: tcp, tls, ws and wss, with every framing. One file, managed
// code only: libzlink.so is not needed. README.md has a first program.
using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Zlink.Unity
{
    // How messages lie in the bytes; the socket must have the same.
    public enum Framing
    {
        Length = 0,   // behind a length of 4 bytes
        Messages = 1, // a message of WebSocket is a message, bytes or text: ws, wss
        Raw = 2,      // none; a message is what a read brings: tcp, tls
        Headers = 3   // with a header
    }

    public enum State
    {
        Connecting,
        Open,
        Closed
    }

    public sealed class Message
    {
        public readonly byte[] Body;
        public readonly byte[] Header; // with Framing.Headers; else empty
        public readonly bool IsText;   // it came as text, with Framing.Messages

        internal Message(byte[] body, byte[] header, bool isText)
        {
            Body = body;
            Header = header;
            IsText = isText;
        }

        // The body as UTF-8.
        public string Text
        {
            get { return Encoding.UTF8.GetString(Body); }
        }
    }

    // The other side broke the framing, or sent more than MaxSize.
    public sealed class ProtocolException : Exception
    {
        public ProtocolException(string message) : base(message)
        {
        }
    }

    // To be set before Connect.
    public sealed class Settings
    {
        public Framing Framing = Framing.Length;
        public int MaxSize = 16 << 20;          // of a message that comes, header and body
        public int MaxReceivedBytes = 16 << 20; // while so much waits for TryReceive, nothing more is read
        public int MaxQueuedBytes = 16 << 20;   // while so much waits for the network, Send returns false
        public int ConnectTimeoutMs = 10000;
        public string Protocol; // a subprotocol that ws and wss ask for, or null
        // Of tls: decides about the server's certificate instead of the system; null: the system does.
        public RemoteCertificateValidationCallback Certificate;
    }

    // A connection. Its work is done by tasks in the background; no call waits, and all are for any thread. A game calls
    // TryReceive in each Update until it returns false.
    public sealed class ZlinkClient : IDisposable
    {
        private static readonly byte[] none = new byte[0];

        private readonly Settings settings;
        private readonly Uri endpoint;
        private readonly object gate = new object();
        private readonly Queue<Message> received = new Queue<Message>();
        private readonly Queue<Outgoing> queued = new Queue<Outgoing>();
        private readonly SemaphoreSlim toSend = new SemaphoreSlim(0);
        private readonly CancellationTokenSource ended = new CancellationTokenSource();
        private long receivedBytes, queuedBytes;
        private TaskCompletionSource<bool> room; // the reader waits for it
        private Link link;
        private State state = State.Connecting;
        private Exception error;
        private int closeCode;
        private bool closing, disposed;

        private sealed class Outgoing
        {
            public byte[] Bytes; // null: it is the end
            public bool IsText;
            public int Code;
        }

        private ZlinkClient(string endpoint, Settings settings)
        {
            this.endpoint = new Uri(endpoint);
            this.settings = settings;
            bool web = this.endpoint.Scheme == "ws" || this.endpoint.Scheme == "wss";
            if (!web && this.endpoint.Scheme != "tcp" && this.endpoint.Scheme != "tls")
                throw new ArgumentException("the transports are tcp, tls, ws and wss, not " + this.endpoint.Scheme);
            if (settings.Framing == (web ? Framing.Raw : Framing.Messages))
                throw new ArgumentException(this.endpoint.Scheme + " cannot have Framing." + settings.Framing);
            if (this.endpoint.Port < 0)
                throw new ArgumentException(endpoint + " has no port");
        }

        // Begins to connect to "tcp://host:port", "tls://host:port", "ws://host:port/path" or "wss://host/path", and returns at once.
        public static ZlinkClient Connect(string endpoint, Settings settings = null)
        {
            var client = new ZlinkClient(endpoint, settings ?? new Settings());
            Task.Run(() => client.Run()); // not on Unity's main thread, nor on that of any other loop
            return client;
        }

        public State State
        {
            get { lock (gate) return state; }
        }

        // Why it was closed; null: one side closed it.
        public Exception Error
        {
            get { lock (gate) return error; }
        }

        // Of ws and wss: the code that the server gave; 0: none, or another transport.
        public int CloseCode
        {
            get { lock (gate) return closeCode; }
        }

        // Bytes that were sent, and that the network has not taken.
        public long QueuedBytes
        {
            get { lock (gate) return queuedBytes; }
        }

        // The next message; false: there is none now, or, if it is closed, there will be none any more.
        public bool TryReceive(out Message message)
        {
            TaskCompletionSource<bool> waits = null;
            lock (gate) {
                message = received.Count > 0 ? received.Dequeue() : null;
                if (message == null)
                    return false;
                receivedBytes -= Cost(message);
                if (receivedBytes < settings.MaxReceivedBytes) {
                    waits = room;
                    room = null;
                }
            }
            if (waits != null)
                waits.TrySetResult(true);
            return true;
        }

        // Queues a message, also before it is open. The bytes are copied. With Framing.Headers there may be a header of at
        // most 65535 bytes. false: it is closed, or too much is queued.
        public bool Send(byte[] body, byte[] header = null)
        {
            header = header ?? none;
            if (header.Length > (settings.Framing == Framing.Headers ? ushort.MaxValue : 0))
                throw new ArgumentException(settings.Framing == Framing.Headers ? "a header has at most 65535 bytes"
                                                                               : "only Framing.Headers has headers");
            return Queue(new Outgoing { Bytes = Framed(body, header) });
        }

        // The same as text with Framing.Messages, and as UTF-8 with others.
        public bool Send(string text)
        {
            var bytes = Framed(Encoding.UTF8.GetBytes(text), none);
            return Queue(new Outgoing { Bytes = bytes, IsText = settings.Framing == Framing.Messages });
        }

        // Closes it once what is queued is sent; ws and wss are told the code. What has come can still be received.
        public void Close(int code = 1000)
        {
            Queue(new Outgoing { Code = code });
        }

        // Ends it at once.
        public void Dispose()
        {
            Link open;
            lock (gate) {
                if (disposed)
                    return;
                disposed = true;
                open = link;
            }
            ended.Cancel();
            if (open != null)
                open.Dispose();
        }

        // ---------------------------------------------------------------- queues

        private bool Queue(Outgoing message)
        {
            lock (gate) {
                if (state == State.Closed || closing || disposed)
                    return false;
                if (message.Bytes != null && queuedBytes >= settings.MaxQueuedBytes)
                    return false;
                closing = message.Bytes == null;
                queued.Enqueue(message);
                queuedBytes += message.Bytes == null ? 0 : message.Bytes.Length;
            }
            toSend.Release();
            return true;
        }

        // What a message takes while it waits; an empty one takes something, too.
        private static int Cost(Message message)
        {
            return message.Body.Length + message.Header.Length + 64;
        }

        private void Deliver(Message message)
        {
            lock (gate) {
                received.Enqueue(message);
                receivedBytes += Cost(message);
            }
        }

        // Until somebody has received some of what waits.
        private async Task Room()
        {
            TaskCompletionSource<bool> waits;
            lock (gate) {
                if (receivedBytes < settings.MaxReceivedBytes)
                    return;
                waits = room = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            }
            using (ended.Token.Register(() => waits.TrySetCanceled()))
                await waits.Task;
        }

        // ---------------------------------------------------------------- framing

        private byte[] Framed(byte[] body, byte[] header)
        {
            int sizes = settings.Framing == Framing.Headers ? 6 : settings.Framing == Framing.Length ? 4 : 0;
            var bytes = new byte[sizes + header.Length + body.Length];
            if (sizes == 6) {
                bytes[0] = (byte) (header.Length >> 8);
                bytes[1] = (byte) header.Length;
            }
            for (int i = 0; i < 4 && sizes > 0; i++)
                bytes[sizes - 4 + i] = (byte) (body.Length >> (24 - 8 * i));
            Buffer.BlockCopy(header, 0, bytes, sizes, header.Length);
            Buffer.BlockCopy(body, 0, bytes, sizes + header.Length, body.Length);
            return bytes;
        }

        // Cuts a stream of bytes, which comes in pieces of any size, into messages.
        private sealed class Cutter
        {
            private readonly byte[] sizes;
            private readonly int maxSize;
            private readonly Action<Message> deliver;
            private byte[] header, body; // null: the sizes are not there yet
            private int have;            // of the sizes, or of header and body

            public Cutter(Framing framing, int maxSize, Action<Message> deliver)
            {
                sizes = new byte[framing == Framing.Headers ? 6 : 4];
                this.maxSize = maxSize;
                this.deliver = deliver;
            }

            public void Add(byte[] piece, int count)
            {
                for (int at = 0; at < count;) {
                    byte[] into = body == null ? sizes : have < header.Length ? header : body;
                    int filled = into == body ? have - header.Length : have;
                    int taken = Math.Min(into.Length - filled, count - at);
                    Buffer.BlockCopy(piece, at, into, filled, taken);
                    at += taken;
                    have += taken;
                    if (body == null && have == sizes.Length)
                        Measure();
                    if (body != null && have == header.Length + body.Length)
                        End();
                }
            }

            private void Measure()
            {
                int first = sizes.Length - 4, headerSize = first == 0 ? 0 : sizes[0] << 8 | sizes[1];
                long size = (long) sizes[first] << 24 | (long) sizes[first + 1] << 16 | (long) sizes[first + 2] << 8 | sizes[first + 3];
                if (size + headerSize > maxSize)
                    throw TooLong(size + headerSize, maxSize);
                header = headerSize == 0 ? none : new byte[headerSize];
                body = new byte[size];
                have = 0;
            }

            private void End()
            {
                deliver(new Message(body, header, false));
                body = header = null;
                have = 0;
            }
        }

        private static ProtocolException TooLong(long size, int maxSize)
        {
            return new ProtocolException("a message of " + size + " bytes came, and MaxSize is " + maxSize);
        }

        // ------------------------------------------------------------------ work

        private async Task Run()
        {
            Exception failed = null;
            Task sends = null;
            try {
                Link opened = await Open();
                lock (gate) {
                    link = opened;
                    state = State.Open;
                    if (disposed)
                        opened.Dispose();
                }
                sends = SendAll(opened);
                await ReceiveAll(opened);
            } catch (Exception e) {
                failed = e;
            }
            Finish(failed);
            if (sends != null)
                await sends;
        }

        private async Task<Link> Open()
        {
            Link opening = endpoint.Scheme.StartsWith("ws") ? (Link) new WebLink(settings) : new StreamLink(settings);
            try {
                Task opened = opening.Open(endpoint, ended.Token);
                Task first = await Task.WhenAny(opened, Task.Delay(settings.ConnectTimeoutMs, ended.Token));
                if (first != opened) {
                    opened.ContinueWith(late => late.Exception, TaskContinuationOptions.OnlyOnFaulted).Forget();
                    throw new TimeoutException("no connection to " + endpoint + " in " + settings.ConnectTimeoutMs + " ms");
                }
                await opened;
                return opening;
            } catch {
                opening.Dispose();
                throw;
            }
        }

        private async Task ReceiveAll(Link from)
        {
            var buffer = new byte[65536];
            var cutter = new Cutter(settings.Framing, settings.MaxSize, Deliver);
            for (;;) {
                await Room();
                if (settings.Framing == Framing.Messages) {
                    Message message = await from.ReceiveMessage(buffer, settings.MaxSize);
                    if (message == null)
                        return;
                    Deliver(message);
                    continue;
                }
                int count = await from.Receive(buffer);
                if (count == 0)
                    return;
                if (settings.Framing == Framing.Raw) {
                    var body = new byte[count];
                    Buffer.BlockCopy(buffer, 0, body, 0, count);
                    Deliver(new Message(body, none, false));
                } else
                    cutter.Add(buffer, count);
            }
        }

        private async Task SendAll(Link to)
        {
            try {
                for (;;) {
                    await toSend.WaitAsync(ended.Token);
                    Outgoing next;
                    lock (gate)
                        next = queued.Dequeue();
                    if (next.Bytes == null) {
                        await to.End(next.Code);
                        return;
                    }
                    await to.Send(next.Bytes, next.IsText);
                    lock (gate)
                        if (state != State.Closed) // Finish has forgotten it with the others
                            queuedBytes -= next.Bytes.Length;
                }
            } catch (Exception e) {
                lock (gate)
                    if (error == null && state != State.Closed && !disposed)
                        error = e;
                to.Dispose(); // the reader ends, too
            }
        }

        private void Finish(Exception failed)
        {
            lock (gate) {
                if (error == null && !disposed)
                    error = failed;
                state = State.Closed;
                closeCode = link == null ? 0 : link.CloseCode;
                queued.Clear();
                queuedBytes = 0;
            }
            ended.Cancel();
            if (link != null)
                link.Dispose();
        }

        // ------------------------------------------------------------- transports

        private abstract class Link : IDisposable
        {
            public virtual int CloseCode
            {
                get { return 0; }
            }

            public abstract Task Open(Uri endpoint, CancellationToken cancel);
            public abstract Task<int> Receive(byte[] buffer); // 0: the end
            public abstract Task<Message> ReceiveMessage(byte[] buffer, int maxSize); // null: the end
            public abstract Task Send(byte[] bytes, bool isText);
            public abstract Task End(int code); // nothing more will be sent
            public abstract void Dispose();
        }

        // tcp and tls
        private sealed class StreamLink : Link
        {
            private readonly Settings settings;
            private TcpClient tcp;
            private Stream stream;
            private volatile bool disposed;

            public StreamLink(Settings settings)
            {
                this.settings = settings;
            }

            public override async Task Open(Uri endpoint, CancellationToken cancel)
            {
                await Dial(await Dns.GetHostAddressesAsync(endpoint.DnsSafeHost), endpoint.Port);
                tcp.NoDelay = true;
                stream = tcp.GetStream();
                if (endpoint.Scheme != "tls")
                    return;
                var tls = new SslStream(stream, false, settings.Certificate);
                stream = tls;
                await tls.AuthenticateAsClientAsync(endpoint.DnsSafeHost);
            }

            // The first address that answers.
            private async Task Dial(IPAddress[] addresses, int port)
            {
                for (int i = 0;; i++) {
                    tcp = new TcpClient(addresses[i].AddressFamily);
                    try {
                        if (disposed)
                            throw new ObjectDisposedException("ZlinkClient");
                        await tcp.ConnectAsync(addresses[i], port);
                        return;
                    } catch (Exception) {
                        tcp.Close();
                        if (disposed || i == addresses.Length - 1)
                            throw;
                    }
                }
            }

            public override Task<int> Receive(byte[] buffer)
            {
                return stream.ReadAsync(buffer, 0, buffer.Length);
            }

            public override Task<Message> ReceiveMessage(byte[] buffer, int maxSize)
            {
                throw new NotSupportedException(); // Framing.Messages has no StreamLink
            }

            public override async Task Send(byte[] bytes, bool isText)
            {
                await stream.WriteAsync(bytes, 0, bytes.Length);
                await stream.FlushAsync();
            }

            // Also of tls without its close_notify: behind that mono reads no answers.
            public override Task End(int code)
            {
                tcp.Client.Shutdown(SocketShutdown.Send);
                return Task.CompletedTask;
            }

            public override void Dispose()
            {
                disposed = true;
                TcpClient open = tcp;
                if (open != null)
                    open.Close();
            }
        }

        // ws and wss
        private sealed class WebLink : Link
        {
            private readonly ClientWebSocket socket = new ClientWebSocket();

            public WebLink(Settings settings)
            {
                if (settings.Protocol != null)
                    socket.Options.AddSubProtocol(settings.Protocol);
            }

            public override int CloseCode
            {
                get { return socket.CloseStatus.HasValue ? (int) socket.CloseStatus.Value : 0; }
            }

            public override Task Open(Uri endpoint, CancellationToken cancel)
            {
                return socket.ConnectAsync(endpoint, cancel);
            }

            // Answers a Close frame, and says that it was one.
            private async Task<bool> IsEnd(WebSocketReceiveResult result)
            {
                if (result.MessageType != WebSocketMessageType.Close)
                    return false;
                if (socket.State == WebSocketState.CloseReceived)
                    await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", CancellationToken.None);
                return true;
            }

            public override async Task<int> Receive(byte[] buffer)
            {
                for (;;) {
                    var result = await socket.ReceiveAsync(new ArraySegment<byte>(buffer), CancellationToken.None);
                    if (await IsEnd(result))
                        return 0;
                    if (result.MessageType == WebSocketMessageType.Text)
                        throw new ProtocolException("text came, which only Framing.Messages has");
                    if (result.Count > 0) // an empty message is no end
                        return result.Count;
                }
            }

            public override async Task<Message> ReceiveMessage(byte[] buffer, int maxSize)
            {
                var whole = new MemoryStream();
                for (;;) {
                    var result = await socket.ReceiveAsync(new ArraySegment<byte>(buffer), CancellationToken.None);
                    if (await IsEnd(result))
                        return null;
                    if (whole.Length + result.Count > maxSize)
                        throw TooLong(whole.Length + result.Count, maxSize);
                    whole.Write(buffer, 0, result.Count);
                    if (result.EndOfMessage)
                        return new Message(whole.ToArray(), none, result.MessageType == WebSocketMessageType.Text);
                }
            }

            public override Task Send(byte[] bytes, bool isText)
            {
                var type = isText ? WebSocketMessageType.Text : WebSocketMessageType.Binary;
                return socket.SendAsync(new ArraySegment<byte>(bytes), type, true, CancellationToken.None);
            }

            public override Task End(int code)
            {
                return socket.CloseOutputAsync((WebSocketCloseStatus) code, "", CancellationToken.None);
            }

            public override void Dispose()
            {
                socket.Dispose();
            }
        }
    }

    internal static class Tasks
    {
        // Nobody waits for it.
        public static void Forget(this Task task)
        {
        }
    }
}
