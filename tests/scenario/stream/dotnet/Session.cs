// SPDX-License-Identifier: MPL-2.0
using System;
using System.Net.Sockets;
using System.Threading;

// A connection. It waits for input with a receive of no bytes, and reads into a
// buffer of the thread that runs the completion: a silent connection holds no
// buffer. What the kernel does not take at once is kept and sent later; until
// then nothing more is read.
sealed class Session
{
    private const int BufferSize = 64 * 1024;

    [ThreadStatic]
    private static byte[] threadBuffer;

    private readonly Socket socket;
    private readonly SocketAsyncEventArgs readable = new SocketAsyncEventArgs();
    private SocketAsyncEventArgs rest; // made when it is first needed

    public Session(Socket socket)
    {
        this.socket = socket;
        socket.Blocking = false;
        readable.SetBuffer(new byte[0], 0, 0);
        readable.Completed += (sender, e) => Run(e);
    }

    // The first wait may end at once; the accepting thread is not for echoing.
    public void Start()
    {
        ThreadPool.UnsafeQueueUserWorkItem(_ => WaitForInput(), null);
    }

    private void Run(SocketAsyncEventArgs completed)
    {
        if (completed.SocketError != SocketError.Success)
            Close();
        else if (Echo())
            WaitForInput();
    }

    private void WaitForInput()
    {
        try {
            while (!socket.ReceiveAsync(readable))
                if (readable.SocketError != SocketError.Success || !Echo())
                    return;
        } catch (ObjectDisposedException) {
            // closed meanwhile
        }
    }

    // Echoes what there is. False: this is not the one to wait for more.
    private bool Echo()
    {
        byte[] buffer = threadBuffer ?? (threadBuffer = new byte[BufferSize]);
        SocketError error;
        int size = socket.Receive(buffer, 0, buffer.Length, SocketFlags.None, out error);
        if (error == SocketError.WouldBlock)
            return true;
        if (error != SocketError.Success || size == 0) {
            Close();
            return false;
        }
        int sent = socket.Send(buffer, 0, size, SocketFlags.None, out error);
        if (error != SocketError.Success && error != SocketError.WouldBlock) {
            Close();
            return false;
        }
        if (error == SocketError.WouldBlock)
            sent = 0;
        return sent == size || SendRest(buffer, sent, size - sent);
    }

    // True: it was sent at once after all.
    private bool SendRest(byte[] buffer, int offset, int size)
    {
        if (rest == null) {
            rest = new SocketAsyncEventArgs();
            rest.Completed += (sender, e) => {
                if (RestSent())
                    WaitForInput();
            };
        }
        var copy = new byte[size];
        Buffer.BlockCopy(buffer, offset, copy, 0, size);
        rest.SetBuffer(copy, 0, size);
        return !socket.SendAsync(rest) && RestSent();
    }

    private bool RestSent()
    {
        while (rest.SocketError == SocketError.Success) {
            int left = rest.Count - rest.BytesTransferred;
            if (left == 0) {
                rest.SetBuffer(null, 0, 0);
                return true;
            }
            rest.SetBuffer(rest.Offset + rest.BytesTransferred, left);
            if (socket.SendAsync(rest))
                return false;
        }
        Close();
        return false;
    }

    private void Close()
    {
        socket.Close();
        readable.Dispose();
        if (rest != null)
            rest.Dispose();
    }
}
