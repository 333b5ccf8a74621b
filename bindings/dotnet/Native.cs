// SPDX-License-Identifier: MPL-2.0
// The functions of libzlink that the binding uses, and the handles they take.
// A SafeHandle in a call keeps the thing behind it alive until the call returns.
using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Zlink
{
    internal static class Native
    {
        // The name with the ABI's version: what LD_LIBRARY_PATH, the system's
        // folders, or Library.Load have of it.
        public const string Lib = "libzlink.so.5";

        public const int MessageSize = 64;
        public const int DontWait = 1;
        public const int Except = 4;
        public const int TypeStream = 11;
        public const int MessageEvent = 300;
        public const int MessageReason = 302;
        public const int MessageText = 303;

        [DllImport(Lib)]
        public static extern void zlink_version(out int major, out int minor, out int patch);

        [DllImport(Lib)]
        public static extern IntPtr zlink_strerror(int error);

        [DllImport(Lib)]
        public static extern IntPtr zlink_error_detail();

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_set_log(IntPtr function, int level, IntPtr argument);

        [DllImport(Lib, SetLastError = true)]
        public static extern ContextHandle zlink_ctx_new();

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_ctx_set(ContextHandle context, int option, int value);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_ctx_get(ContextHandle context, int option);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_ctx_set_admin(ContextHandle context, byte[] path);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_ctx_shutdown(ContextHandle context);

        [DllImport(Lib, EntryPoint = "zlink_ctx_term", SetLastError = true)]
        public static extern int ctx_term(IntPtr context);

        [DllImport(Lib, SetLastError = true)]
        public static extern SocketHandle zlink_socket(ContextHandle context, int type);

        [DllImport(Lib, EntryPoint = "zlink_close")]
        public static extern int close(IntPtr socket);

        [DllImport(Lib, EntryPoint = "zlink_setsockopt")]
        public static extern int setsockopt(IntPtr socket, int option, ref int value, UIntPtr size);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_setsockopt(SocketHandle socket, int option, byte[] value, UIntPtr size);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_getsockopt(SocketHandle socket, int option, byte[] value, ref UIntPtr size);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_bind(SocketHandle socket, byte[] endpoint);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_connect(SocketHandle socket, byte[] endpoint);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_unbind(SocketHandle socket, byte[] endpoint);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_disconnect(SocketHandle socket, byte[] endpoint);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_recv_batch(
            SocketHandle socket, IntPtr messages, UIntPtr count, int flags);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_send_batch(
            SocketHandle socket, IntPtr messages, UIntPtr count, int flags);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_close_peer(SocketHandle socket, uint peer);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_close_peer_with(
            SocketHandle socket, uint peer, int code, byte[] reason);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_abort_peer(SocketHandle socket, uint peer);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_peer_gets(
            SocketHandle socket, uint peer, byte[] property, byte[] text, UIntPtr room);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_accept_peer(SocketHandle socket, uint peer);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_accept_peer_with(SocketHandle socket, uint peer, byte[] protocol);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_refuse_peer(SocketHandle socket, uint peer, int status, byte[] text);

        // Called with what SetPeerData gave; on any thread.
        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        public delegate void FreeFn(IntPtr data, IntPtr hint);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_set_peer_data(
            SocketHandle socket, uint peer, IntPtr data, FreeFn free, IntPtr hint);

        [DllImport(Lib, SetLastError = true)]
        public static extern IntPtr zlink_msg_peer_data(IntPtr message);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_send_any(IntPtr message, int flags);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_multicast(
            SocketHandle socket, uint[] peers, UIntPtr count, IntPtr message, int flags, int[] errors);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_join(SocketHandle socket, uint peer, byte[] group);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_leave(SocketHandle socket, uint peer, byte[] group);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_publish(
            SocketHandle socket, byte[] group, IntPtr message, int flags);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_publish_key(
            SocketHandle socket, byte[] group, IntPtr message, ulong key, int flags);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_drain(SocketHandle socket, int spread, int code);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_handover(SocketHandle socket, byte[] path, int fd, int timeout);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_stream_takeover(SocketHandle socket, byte[] path, int fd, int timeout);

        [DllImport(Lib)]
        public static extern int zlink_msg_init(IntPtr message);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_msg_init_size(IntPtr message, UIntPtr size);

        [DllImport(Lib)]
        public static extern int zlink_msg_close(IntPtr message);

        [DllImport(Lib)]
        public static extern IntPtr zlink_msg_data(IntPtr message);

        [DllImport(Lib)]
        public static extern UIntPtr zlink_msg_size(IntPtr message);

        [DllImport(Lib)]
        public static extern int zlink_msg_get(IntPtr message, int property);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_msg_set(IntPtr message, int property, int value);

        [DllImport(Lib)]
        public static extern IntPtr zlink_msg_header(IntPtr message, out UIntPtr size);

        [DllImport(Lib, SetLastError = true)]
        public static extern unsafe int zlink_msg_set_header(IntPtr message, byte* header, UIntPtr size);

        [DllImport(Lib)]
        public static extern IntPtr zlink_msg_gets(IntPtr message, byte[] property);

        [DllImport(Lib)]
        public static extern uint zlink_msg_routing_id(IntPtr message);

        [DllImport(Lib, SetLastError = true)]
        public static extern int zlink_msg_set_routing_id(IntPtr message, uint peer);

        // dlopen of a full path: a later look-up of the library's name finds
        // what is already loaded under it.
        [DllImport("libdl.so.2")]
        public static extern IntPtr dlopen(byte[] path, int flags);

        [DllImport("libdl.so.2")]
        public static extern IntPtr dlsym(IntPtr library, byte[] name);

        [DllImport("libdl.so.2")]
        public static extern IntPtr dlerror();
    }

    // Freed when it was disposed and its last socket was, whichever is later.
    internal sealed class ContextHandle : SafeHandle
    {
        private bool finalizing;

        public ContextHandle() : base(IntPtr.Zero, true)
        {
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override void Dispose(bool disposing)
        {
            finalizing = !disposing;
            base.Dispose(disposing);
        }

        protected override bool ReleaseHandle()
        {
            // The finalizer thread must not wait for messages to go out.
            if (finalizing)
                return ThreadPool.QueueUserWorkItem(_ => Terminate());
            return Terminate();
        }

        private bool Terminate()
        {
            while (Native.ctx_term(handle) != 0)
                if (Marshal.GetLastWin32Error() != Errno.EINTR)
                    return false;
            return true;
        }
    }

    internal sealed class SocketHandle : SafeHandle
    {
        private ContextHandle context;
        private bool finalizing;

        public SocketHandle() : base(IntPtr.Zero, true)
        {
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        // Keeps the context until this is released.
        public void Hold(ContextHandle owner)
        {
            bool held = false;
            owner.DangerousAddRef(ref held);
            context = owner;
        }

        protected override void Dispose(bool disposing)
        {
            finalizing = !disposing;
            base.Dispose(disposing);
        }

        protected override bool ReleaseHandle()
        {
            // A forgotten socket sends nothing more: the context may be ended
            // right after this, on the finalizer thread.
            if (finalizing) {
                int none = 0;
                Native.setsockopt(handle, (int) Option.Linger, ref none, new UIntPtr(sizeof(int)));
            }
            bool closed = Native.close(handle) == 0;
            if (context != null)
                context.DangerousRelease();
            return closed;
        }
    }
}
