// SPDX-License-Identifier: MPL-2.0
// An echo server in C# on libzlink, with batches: messages go back as they came.
using System;
using System.Threading;
using Zlink;

static class EchoServer
{
    private const int MaxBatch = 1024;

    static int Main(string[] args)
    {
        var stop = new StopSignal();
        try {
            using (var context = new Context()) {
                context.Set(ContextOption.IoThreads, Setting.Read(args, "IO_THREADS", 2));
                using (var socket = Listen(context, args)) {
                    Console.WriteLine("LISTENING {0}", socket.LastEndpoint.Split(':')[2]);
                    new Thread(() => {
                        stop.Wait();
                        context.Shutdown();
                    }) { IsBackground = true }.Start();
                    Echo(socket);
                }
            }
        } catch (ZlinkException e) {
            if (e.Errno == Errno.ETERM)
                return 0; // a signal asked to stop
            Console.Error.WriteLine(e.Message);
        }
        return 1;
    }

    static StreamSocket Listen(Context context, string[] args)
    {
        var socket = new StreamSocket(context);
        int hwm = Setting.Read(args, "HWM", 1000000);
        socket.Set(Option.Backlog, Setting.Read(args, "BACKLOG", 32768));
        socket.Set(Option.SendHighWaterMark, hwm);
        socket.Set(Option.ReceiveHighWaterMark, hwm);
        socket.Set(Option.SendBuffer, Setting.Read(args, "SNDBUF", 262144));
        socket.Set(Option.ReceiveBuffer, Setting.Read(args, "RCVBUF", 262144));
        socket.Set(Option.Linger, 0);
        socket.Bind("tcp://*:" + Setting.Read(args, "PORT", 0));
        return socket;
    }

    // Sends every batch back in as few calls as the events in it allow.
    static void Echo(StreamSocket socket)
    {
        using (var batch = new MessageBatch(MaxBatch)) {
            for (;;) {
                int count = socket.Receive(batch), first = 0;
                for (int i = 0; i < count; i++) {
                    if (batch[i].Event == StreamEvent.Data)
                        continue;
                    socket.Send(batch, first, i - first);
                    first = i + 1;
                }
                socket.Send(batch, first, count - first);
            }
        }
    }
}
