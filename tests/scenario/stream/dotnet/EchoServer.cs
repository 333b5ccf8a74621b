// SPDX-License-Identifier: MPL-2.0
// An echo server on .NET's sockets: bytes go back as they came. One thread
// accepts; everything else runs on the thread pool, in completions.
using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;

static class EchoServer
{
    static int Main(string[] args)
    {
        int port = Setting.Read(args, "PORT", 0);
        int threads = Setting.Read(args, "IO_THREADS", 2);
        int backlog = Setting.Read(args, "BACKLOG", 32768);
        int sndbuf = Setting.Read(args, "SNDBUF", 262144);
        int rcvbuf = Setting.Read(args, "RCVBUF", 262144);

        ThreadPool.SetMinThreads(threads, threads);
        // Fewer than the processors are refused.
        int most = Math.Max(threads, Environment.ProcessorCount);
        ThreadPool.SetMaxThreads(most, most);
        var stop = new StopSignal();
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        // Accepted sockets inherit these.
        listener.NoDelay = true;
        if (sndbuf > 0)
            listener.SendBufferSize = sndbuf;
        if (rcvbuf > 0)
            listener.ReceiveBufferSize = rcvbuf;
        listener.Bind(new IPEndPoint(IPAddress.Any, port));
        listener.Listen(backlog);
        Console.WriteLine("LISTENING {0}", ((IPEndPoint) listener.LocalEndPoint).Port);

        new Thread(() => Accept(listener)) { IsBackground = true }.Start();
        stop.Wait();
        return 0; // and the connections end with the process
    }

    static void Accept(Socket listener)
    {
        for (;;) {
            try {
                new Session(listener.Accept()).Start();
            } catch (SocketException e) {
                // The peer may have gone again.
                if (e.SocketErrorCode == SocketError.ConnectionAborted || e.SocketErrorCode == SocketError.ConnectionReset)
                    continue;
                Console.Error.WriteLine("accept: {0}", e.Message);
                Environment.Exit(1);
            }
        }
    }
}
