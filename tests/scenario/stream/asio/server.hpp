/* SPDX-License-Identifier: MPL-2.0 */
/* What the Asio echo servers share besides their sessions: settings, and threads
 * that each have an io_context and a listener of their own (SO_REUSEPORT), so
 * that nothing of a connection is ever touched by two threads. */
#ifndef ASIO_ECHO_SERVER_HPP
#define ASIO_ECHO_SERVER_HPP

extern "C" {
#include "process.h"
#include "settings.h"
}

#include <asio.hpp>

#include <csignal>
#include <exception>
#include <iostream>
#include <iterator>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

struct config
{
    long port = 0;
    long io_threads = 2;
    long backlog = 32768;
    long sndbuf = 262144;
    long rcvbuf = 262144;
    const char *tls_cert = nullptr; /* PEM files */
    const char *tls_key = nullptr;
};

/* One thread's part of the server. State is what its sessions share: it makes a
 * session of a socket. */
template <class State> class loop
{
  public:
    loop (const config &config, unsigned short port) :
        state_ (config), io_ (1), acceptor_ (io_)
    {
        using asio::ip::tcp;
        using reuse_port =
          asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
        acceptor_.open (tcp::v4 ());
        acceptor_.set_option (tcp::acceptor::reuse_address (true));
        acceptor_.set_option (reuse_port (true));
        /* Accepted sockets inherit these. */
        acceptor_.set_option (tcp::no_delay (true));
        if (config.sndbuf > 0)
            acceptor_.set_option (asio::socket_base::send_buffer_size (
              static_cast<int> (config.sndbuf)));
        if (config.rcvbuf > 0)
            acceptor_.set_option (asio::socket_base::receive_buffer_size (
              static_cast<int> (config.rcvbuf)));
        acceptor_.bind ({tcp::v4 (), port});
        acceptor_.listen (static_cast<int> (config.backlog));
        accept ();
    }

    void start ()
    {
        thread_ = std::thread ([this] { io_.run (); });
    }

    void stop ()
    {
        io_.stop ();
        thread_.join ();
    }

    unsigned short port () const { return acceptor_.local_endpoint ().port (); }

  private:
    void accept ()
    {
        acceptor_.async_accept ([this] (asio::error_code error,
                                        asio::ip::tcp::socket socket) {
            if (!error)
                state_.make_session (std::move (socket))->start ();
            else if (error != asio::error::connection_aborted) {
                /* Out of descriptors: trying again at once would not end. */
                std::cerr << "accept: " << error.message () << '\n';
                return;
            }
            accept ();
        });
    }

    State state_; /* outlives io_, whose handlers hold sessions */
    asio::io_context io_;
    asio::ip::tcp::acceptor acceptor_;
    std::thread thread_;
};

/* Blocks until one of the signals comes, which must be blocked. */
inline void wait_for (const sigset_t &signals)
{
    int number;
    sigwait (&signals, &number);
}

template <class State> void serve (const config &config)
{
    sigset_t signals;
    sigemptyset (&signals);
    sigaddset (&signals, SIGTERM);
    sigaddset (&signals, SIGINT);
    pthread_sigmask (SIG_BLOCK, &signals, nullptr);

    auto port = static_cast<unsigned short> (config.port);
    std::vector<std::unique_ptr<loop<State>>> loops;
    for (long i = 0; i < config.io_threads; i++) {
        loops.push_back (std::make_unique<loop<State>> (config, port));
        port = loops.back ()->port ();
    }
    for (auto &loop : loops)
        loop->start ();
    std::cout << "LISTENING " << port << std::endl;

    wait_for (signals);
    for (auto &loop : loops)
        loop->stop ();
}

/* A program's main. */
template <class State> int server_main (int argc, char **argv)
{
    config config;
    const setting table[] = {
      {"PORT", SETTING_INTEGER, true, &config.port, 0, 65535,
       "port to listen on, 0: any free one"},
      {"IO_THREADS", SETTING_INTEGER, false, &config.io_threads, 1, 1024,
       "threads"},
      {"BACKLOG", SETTING_INTEGER, false, &config.backlog, 0, 1 << 30,
       "listen backlog"},
      {"SNDBUF", SETTING_INTEGER, false, &config.sndbuf, 0, 1 << 30,
       "socket send buffer in bytes, 0: system's"},
      {"RCVBUF", SETTING_INTEGER, false, &config.rcvbuf, 0, 1 << 30,
       "socket receive buffer in bytes, 0: system's"},
      {"TLS_CERT", SETTING_TEXT, false, &config.tls_cert, 0, 0,
       "PEM file of the certificate, for tls"},
      {"TLS_KEY", SETTING_TEXT, false, &config.tls_key, 0, 0,
       "PEM file of its key, for tls"},
    };
    settings_result settings =
      settings_read (table, std::size (table), argc, argv);
    if (settings != SETTINGS_OK)
        return settings == SETTINGS_HELP ? 0 : 2;
    process_raise_descriptor_limit ();
    try {
        serve<State> (config);
    }
    catch (const std::exception &error) {
        std::cerr << argv[0] << ": " << error.what () << '\n';
        return 1;
    }
    return 0;
}

#endif
