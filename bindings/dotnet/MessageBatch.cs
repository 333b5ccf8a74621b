// SPDX-License-Identifier: MPL-2.0
using System;
using System.Runtime.InteropServices;

namespace Zlink
{
    public enum StreamEvent
    {
        Data = 0,
        Connected = 1,
        Disconnected = 2,
        Writable = 3,
        Drained = 4, // of the socket, with the peer 0: Drain is done
        Asking = 5 // somebody waits for AcceptPeer or RefusePeer
    }

    // Why a connection ended: doc/reasons.md.
    public enum Reason
    {
        Unknown = 0,
        PeerClosed = 1,
        Reset = 2,
        Idle = 3,
        NoPong = 4,
        Handshake = 5,
        Protocol = 6,
        TooLong = 7,
        QueueBound = 8,
        Rate = 9,
        Limit = 10,
        ClosedHere = 11,
        AbortedHere = 12,
        Drained = 13,
        FirstMessage = 14,
        Age = 15,
        Stalled = 16,
        Context = 17,
        NoMemory = 18,
        Refused = 19,
        Undecided = 20
    }

    // An array of native messages, outside the garbage collector's reach, for
    // receiving and sending many at a time. The first Count are in use. One
    // thread at a time.
    public sealed class MessageBatch : IDisposable
    {
        private IntPtr messages;

        public int Capacity { get; private set; }
        public int Count { get; internal set; }

        public MessageBatch(int capacity)
        {
            if (capacity < 1)
                throw new ArgumentOutOfRangeException("capacity");
            Capacity = capacity;
            messages = Marshal.AllocHGlobal(new IntPtr((long) capacity * Native.MessageSize));
            for (int i = 0; i < capacity; i++)
                Native.zlink_msg_init(At(i));
        }

        public Message this[int index]
        {
            get {
                if (index < 0 || index >= Count)
                    throw new ArgumentOutOfRangeException("index");
                return new Message(this, index);
            }
        }

        // Adds a message for a peer, with a copy of the bytes.
        public void Add(uint peer, byte[] data, int offset, int count)
        {
            if (offset < 0 || count < 0 || offset > data.Length - count)
                throw new ArgumentOutOfRangeException("count");
            Add(peer, new ReadOnlySpan<byte>(data, offset, count));
        }

        public unsafe void Add(uint peer, ReadOnlySpan<byte> data)
        {
            if (Count == Capacity)
                throw new InvalidOperationException("the batch is full");
            IntPtr message = At(Count);
            Native.zlink_msg_close(message);
            if (Native.zlink_msg_init_size(message, new UIntPtr((uint) data.Length)) != 0) {
                int error = Marshal.GetLastWin32Error();
                Native.zlink_msg_init(message);
                throw ZlinkException.Of("zlink_msg_init_size", error);
            }
            data.CopyTo(new Span<byte>((void*) Native.zlink_msg_data(message), data.Length));
            if (Native.zlink_msg_set_routing_id(message, peer) != 0)
                throw ZlinkException.OfLast("zlink_msg_set_routing_id");
            Count++;
        }

        public void Add(uint peer, byte[] data)
        {
            Add(peer, data, 0, data.Length);
        }

        // With a header of at most 65535 bytes, for Option.Framing 3.
        public void Add(uint peer, ReadOnlySpan<byte> data, ReadOnlySpan<byte> header)
        {
            Add(peer, data);
            try {
                this[Count - 1].SetHeader(header);
            } catch (ZlinkException) {
                Count--;
                throw;
            }
        }

        // Releases every message.
        public void Clear()
        {
            Count = 0;
            for (int i = 0; i < Capacity; i++) {
                Native.zlink_msg_close(At(i));
                Native.zlink_msg_init(At(i));
            }
        }

        internal bool IsData(int index)
        {
            bool data = Native.zlink_msg_get(At(index), Native.MessageEvent) == (int) StreamEvent.Data;
            GC.KeepAlive(this);
            return data;
        }

        internal IntPtr At(int index)
        {
            if (messages == IntPtr.Zero)
                throw new ObjectDisposedException("MessageBatch");
            return new IntPtr(messages.ToInt64() + (long) index * Native.MessageSize);
        }

        // Of one of the first Count messages.
        internal IntPtr InUse(int index)
        {
            if (index < 0 || index >= Count)
                throw new ArgumentOutOfRangeException("index");
            return At(index);
        }

        public void Dispose()
        {
            Free();
            GC.SuppressFinalize(this);
        }

        ~MessageBatch()
        {
            Free();
        }

        private void Free()
        {
            if (messages == IntPtr.Zero)
                return;
            for (int i = 0; i < Capacity; i++)
                Native.zlink_msg_close(At(i));
            Marshal.FreeHGlobal(messages);
            messages = IntPtr.Zero;
            Count = 0;
        }
    }

    // A message of a batch. It shows what the batch holds now: the next Receive,
    // a Send that takes the message, Clear and Dispose change that.
    public struct Message
    {
        private readonly MessageBatch batch;
        private readonly int index;

        internal Message(MessageBatch batch, int index)
        {
            this.batch = batch;
            this.index = index;
        }

        // Who sent it, or who will get it.
        public uint Peer
        {
            get {
                uint peer = Native.zlink_msg_routing_id(batch.At(index));
                GC.KeepAlive(batch);
                return peer;
            }
            set {
                if (Native.zlink_msg_set_routing_id(batch.At(index), value) != 0)
                    throw ZlinkException.OfLast("zlink_msg_set_routing_id");
                GC.KeepAlive(batch);
            }
        }

        // What SetPeerData gave for the peer of a received message, or null.
        public object PeerData
        {
            get {
                IntPtr data = Native.zlink_msg_peer_data(batch.At(index));
                object given = data == IntPtr.Zero ? null : GCHandle.FromIntPtr(data).Target;
                GC.KeepAlive(batch);
                return given;
            }
        }

        public StreamEvent Event
        {
            get {
                int value = Native.zlink_msg_get(batch.At(index), Native.MessageEvent);
                GC.KeepAlive(batch);
                return (StreamEvent) value;
            }
        }

        // With Option.Framing 1: it came as text, or is to be sent as text.
        public bool IsText
        {
            get {
                int value = Native.zlink_msg_get(batch.At(index), Native.MessageText);
                GC.KeepAlive(batch);
                return value == 1;
            }
            set {
                if (Native.zlink_msg_set(batch.At(index), Native.MessageText, value ? 1 : 0) != 0)
                    throw ZlinkException.OfLast("zlink_msg_set");
                GC.KeepAlive(batch);
            }
        }

        // With Option.Framing 3: what came in front of the body, or is to be sent in front of it. The bytes themselves,
        // not a copy: for use before the batch changes.
        public unsafe ReadOnlySpan<byte> Header
        {
            get {
                UIntPtr size;
                IntPtr header = Native.zlink_msg_header(batch.At(index), out size);
                return new ReadOnlySpan<byte>((void*) header, (int) size);
            }
        }

        // Gives the message a copy of a header of at most 65535 bytes; an empty one takes it away.
        public void SetHeader(byte[] header)
        {
            SetHeader(new ReadOnlySpan<byte>(header));
        }

        public unsafe void SetHeader(ReadOnlySpan<byte> header)
        {
            fixed (byte* bytes = &MemoryMarshal.GetReference(header))
                if (Native.zlink_msg_set_header(batch.At(index), bytes, new UIntPtr((uint) header.Length)) != 0)
                    throw ZlinkException.OfLast("zlink_msg_set_header");
            GC.KeepAlive(batch);
        }

        // Of StreamEvent.Disconnected; Unknown of anything else.
        public Reason Reason
        {
            get {
                int value = Native.zlink_msg_get(batch.At(index), Native.MessageReason);
                GC.KeepAlive(batch);
                return (Reason) value;
            }
        }

        // The peer's IP address, of a received message; "" of a peer of ipc.
        public string PeerAddress
        {
            get { return Property("Peer-Address"); }
        }

        // A property of the peer of a received message, also when the peer has gone: "Peer-Address",
        // "Peer-Port", and what Option.Properties names; "": it has none.
        public string Property(string name)
        {
            string text = Text.Read(Native.zlink_msg_gets(batch.At(index), Text.Bytes(name)));
            GC.KeepAlive(batch);
            return text;
        }

        public int Size
        {
            get {
                var size = Native.zlink_msg_size(batch.At(index));
                GC.KeepAlive(batch);
                return (int) size;
            }
        }

        // The bytes themselves, not a copy: for use before the batch changes.
        public unsafe ReadOnlySpan<byte> Body
        {
            get { return new ReadOnlySpan<byte>((void*) Native.zlink_msg_data(batch.At(index)), Size); }
        }

        // Copies the bytes, and returns how many these are. ArgumentException: there is no room for them.
        public int CopyTo(Span<byte> target)
        {
            Body.CopyTo(target);
            GC.KeepAlive(batch);
            return Size;
        }

        public byte[] ToArray()
        {
            var copy = new byte[Size];
            if (copy.Length > 0)
                Marshal.Copy(Native.zlink_msg_data(batch.At(index)), copy, 0, copy.Length);
            GC.KeepAlive(batch);
            return copy;
        }
    }
}
