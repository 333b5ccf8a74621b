# SPDX-License-Identifier: MPL-2.0
"""An echo server in Python on the binding, with batches: messages go back as they came."""
import os
import resource
import signal
import sys
import threading

import zlink_stream as zlink


def setting(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


def listen(context: zlink.Context) -> zlink.Socket:
    transport = os.environ.get("TRANSPORT", "tcp")
    socket = context.socket(
        backlog=setting("BACKLOG", 32768),
        sndhwm=setting("HWM", 1000000),
        rcvhwm=setting("HWM", 1000000),
        sndbuf=setting("SNDBUF", 262144),
        rcvbuf=setting("RCVBUF", 262144),
        tls_cert=os.environ.get("TLS_CERT", ""),
        tls_key=os.environ.get("TLS_KEY", ""),
        linger=0,
    )
    if transport == "ipc":
        endpoint = socket.bind(f"ipc://@zlink-py-echo-{os.getpid()}")
        print("LISTENING", endpoint[len("ipc://") :], flush=True)
    else:
        endpoint = socket.bind(f"{transport}://*:0")
        print("LISTENING", endpoint.split(":")[2].split("/")[0], flush=True)
    return socket


def stop_on_signal(context: zlink.Context) -> None:
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    context.shutdown()


def main() -> int:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    context = zlink.Context(io_threads=setting("IO_THREADS", 2))
    socket = listen(context)
    threading.Thread(target=stop_on_signal, args=(context,), daemon=True).start()
    batch = zlink.Batch(1024)
    try:
        while True:
            socket.receive_batch(batch)
            socket.send_batch(batch)
    except zlink.Ended:
        socket.close()
        context.close()
        return 0


sys.exit(main())
