// SPDX-License-Identifier: MPL-2.0
// What every C# server of the scenarios does alike: settings, and ending on
// SIGTERM or SIGINT.
using System;
using System.Globalization;
using System.Threading;
#if NET6_0_OR_GREATER
using System.Runtime.InteropServices;
#elif !NETCOREAPP
using Mono.Unix;
using Mono.Unix.Native;
#endif

static class Setting
{
    // The flag --name NUMBER, or the environment variable NAME, or the default.
    public static int Read(string[] args, string name, int value)
    {
        string flag = "--" + name.ToLowerInvariant().Replace('_', '-');
        int at = Array.IndexOf(args, flag);
        string text = at >= 0 && at + 1 < args.Length ? args[at + 1]
                                                      : Environment.GetEnvironmentVariable(name);
        if (text != null && !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value)) {
            Console.Error.WriteLine("{0} is a number, not {1}", name, text);
            Environment.Exit(2);
        }
        return value;
    }
}

// Takes the signals from its making on.
sealed class StopSignal
{
#if NETCOREAPP
    private readonly ManualResetEventSlim came = new ManualResetEventSlim();
#endif
#if NET6_0_OR_GREATER
    private readonly PosixSignalRegistration[] registrations;

    public StopSignal()
    {
        Action<PosixSignalContext> stop = context => {
            context.Cancel = true;
            came.Set();
        };
        registrations = new[] {
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, stop),
            PosixSignalRegistration.Create(PosixSignal.SIGINT, stop)
        };
    }

#elif NETCOREAPP
    public StopSignal()
    {
        Console.CancelKeyPress += (sender, press) => {
            press.Cancel = true;
            came.Set();
        };
        // SIGTERM. The process ends when this returns, whatever Main does.
        AppDomain.CurrentDomain.ProcessExit += (sender, end) => {
            if (came.IsSet)
                return;
            came.Set();
            Thread.Sleep(1000);
        };
    }
#else
    private readonly UnixSignal[] signals = { new UnixSignal(Signum.SIGTERM), new UnixSignal(Signum.SIGINT) };

#endif

    public void Wait()
    {
#if NETCOREAPP
        came.Wait();
#else
        UnixSignal.WaitAny(signals);
#endif
    }
}
