// SPDX-License-Identifier: MPL-2.0
using System;
using System.Diagnostics;
using System.Threading;
using Zlink;

// What the tests are made of. A check that fails is an exception.
static class Check
{
    public const int LimitMs = 20000;

    public static void That(bool condition, string what)
    {
        if (!condition)
            throw new Exception("not so: " + what);
    }

    public static void Equal<T>(T expected, T actual, string what)
    {
        if (!Equals(expected, actual))
            throw new Exception(what + ": " + actual + ", not " + expected);
    }

    public static T Throws<T>(Action action, string what) where T : Exception
    {
        try {
            action();
        } catch (T e) {
            return e;
        }
        throw new Exception("no " + typeof(T).Name + ": " + what);
    }

    public static void Until(Func<bool> condition, string what)
    {
        for (var watch = Stopwatch.StartNew(); !condition(); Thread.Sleep(5))
            That(watch.ElapsedMilliseconds < LimitMs, "in time: " + what);
    }

    public static void Join(Thread thread, string what)
    {
        That(thread.Join(LimitMs), "ends: " + what);
    }
}

// A server and a client that is connected to it.
sealed class Pair : IDisposable
{
    public readonly Context Context = new Context();
    public readonly StreamSocket Server, Client;
    public readonly MessageBatch Batch = new MessageBatch(16);
    public readonly uint ServerPeer, ClientPeer; // the other side, seen from each

    public Pair(int framing = 0, string transport = null)
    {
        transport = transport ?? (framing == 1 ? "ws" : "tcp");
        Server = Open(framing);
        Client = Open(framing);
        if (transport == "tls" || transport == "wss") {
            string file = Certificate;
            Server.Set(Option.TlsCert, file);
            Server.Set(Option.TlsKey, Environment.GetEnvironmentVariable("TLS_KEY"));
            Client.Set(Option.TlsCa, file);
        }
        Server.Bind(transport + "://127.0.0.1:*");
        Client.Connect(Server.LastEndpoint);
        ClientPeer = Connected(Client);
        ServerPeer = Connected(Server);
    }

    // The file of a certificate for 127.0.0.1 (bindings/test/with_certificate.sh), or null.
    public static string Certificate
    {
        get { return Environment.GetEnvironmentVariable("TLS_CERT"); }
    }

    private StreamSocket Open(int framing)
    {
        var socket = new StreamSocket(Context);
        socket.Set(Option.Framing, framing);
        socket.Set(Option.ReceiveTimeout, Check.LimitMs);
        socket.Set(Option.SendTimeout, Check.LimitMs);
        return socket;
    }

    private uint Connected(StreamSocket socket)
    {
        Check.Equal(1, socket.Receive(Batch), "events");
        Check.Equal(StreamEvent.Connected, Batch[0].Event, "event");
        return Batch[0].Peer;
    }

    public void Dispose()
    {
        Batch.Dispose();
        Client.Dispose();
        Server.Dispose();
        Context.Dispose();
    }
}
