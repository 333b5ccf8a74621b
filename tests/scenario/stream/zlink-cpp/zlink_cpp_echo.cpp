/* SPDX-License-Identifier: MPL-2.0 */
/* An echo server in C++ on the binding, with batches: messages go back as they came. */
extern "C" {
#include "process.h"
#include "settings.h"
}

#include <zlink.hpp>

#include <csignal>
#include <cstdio>
#include <iterator>
#include <string>
#include <thread>
#include <unistd.h>

namespace
{
struct config
{
    const char *transport = "tcp";
    const char *tls_cert = "", *tls_key = "";
    long port = 0, io_threads = 2, backlog = 32768, hwm = 1000000, sndbuf = 262144, rcvbuf = 262144;
};

constexpr std::size_t max_batch = 1024;

zlink::socket listen (const zlink::context &context, const config &config)
{
    zlink::socket socket = zlink::socket::open (context).value ();
    std::string transport = config.transport;
    socket.set (zlink::options::backlog, static_cast<int> (config.backlog)).value ();
    socket.set (zlink::options::sndhwm, static_cast<int> (config.hwm)).value ();
    socket.set (zlink::options::rcvhwm, static_cast<int> (config.hwm)).value ();
    socket.set (zlink::options::sndbuf, static_cast<int> (config.sndbuf)).value ();
    socket.set (zlink::options::rcvbuf, static_cast<int> (config.rcvbuf)).value ();
    socket.set (zlink::options::linger, 0).value ();
    socket.set (zlink::options::tls_cert, config.tls_cert).value ();
    socket.set (zlink::options::tls_key, config.tls_key).value ();
    socket.bind (transport == "ipc" ? "ipc://@zlink-cpp-echo-" + std::to_string (getpid ())
                                    : transport + "://*:" + std::to_string (config.port))
      .value ();
    std::string endpoint = socket.last_endpoint ().value ();
    if (transport == "ipc")
        std::printf ("LISTENING %s\n", endpoint.c_str () + std::strlen ("ipc://"));
    else
        std::printf ("LISTENING %ld\n", std::strtol (endpoint.c_str () + endpoint.rfind (':') + 1, nullptr, 10));
    std::fflush (stdout);
    return socket;
}

int serve (const config &config)
{
    sigset_t signals;
    sigemptyset (&signals);
    sigaddset (&signals, SIGTERM);
    sigaddset (&signals, SIGINT);
    pthread_sigmask (SIG_BLOCK, &signals, nullptr);

    zlink::context context = zlink::context::open ().value ();
    context.set (ZLINK_IO_THREADS, static_cast<int> (config.io_threads)).value ();
    zlink::socket socket = listen (context, config);
    std::thread stopper ([&] {
        int number;
        sigwait (&signals, &number);
        (void) context.shutdown ();
    });
    zlink::batch batch (max_batch);
    zlink::result<void> sent;
    while (sent && socket.receive (batch))
        sent = socket.send_all (batch);
    stopper.join ();
    return 0;
}
}

int main (int argc, char **argv)
{
    config config;
    const setting table[] = {
      {"TRANSPORT", SETTING_TEXT, false, &config.transport, 0, 0, "tcp, tls, ws, wss or ipc"},
      {"TLS_CERT", SETTING_TEXT, false, &config.tls_cert, 0, 0, "PEM file of the certificate, for tls and wss"},
      {"TLS_KEY", SETTING_TEXT, false, &config.tls_key, 0, 0, "PEM file of its key"},
      {"PORT", SETTING_INTEGER, true, &config.port, 0, 65535, "port to listen on, 0: any free one"},
      {"IO_THREADS", SETTING_INTEGER, false, &config.io_threads, 0, 1024, "io threads of the context"},
      {"BACKLOG", SETTING_INTEGER, false, &config.backlog, 0, 1 << 30, "listen backlog"},
      {"HWM", SETTING_INTEGER, false, &config.hwm, 0, 1 << 30, "messages queued for or from one connection"},
      {"SNDBUF", SETTING_INTEGER, false, &config.sndbuf, 0, 1 << 30, "socket send buffer in bytes, 0: system's"},
      {"RCVBUF", SETTING_INTEGER, false, &config.rcvbuf, 0, 1 << 30, "socket receive buffer in bytes, 0: system's"},
    };
    settings_result settings = settings_read (table, std::size (table), argc, argv);
    if (settings != SETTINGS_OK)
        return settings == SETTINGS_HELP ? 0 : 2;
    process_raise_descriptor_limit ();
    try {
        return serve (config);
    } catch (const zlink::failure &failure) {
        std::fprintf (stderr, "%s: %s\n", argv[0], failure.what ());
        return 1;
    }
}
