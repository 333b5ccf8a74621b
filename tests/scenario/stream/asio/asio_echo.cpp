/* SPDX-License-Identifier: MPL-2.0 */
/* An echo server on standalone Asio: bytes go back as they came. Every thread
 * has an io_context and a listener of its own (SO_REUSEPORT), so that nothing
 * of a connection is ever touched by two threads. */
#include "session.hpp"

extern "C" {
#include "process.h"
#include "settings.h"
}

#include <asio.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

namespace
{
using asio::ip::tcp;
using reuse_port =
  asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

struct config
{
    long port = 0;
    long io_threads = 2;
    long backlog = 32768;
    long sndbuf = 262144;
    long rcvbuf = 262144;
};

/* One thread's part of the server. */
class loop
{
  public:
    loop (const config &config, unsigned short port) :
        io_ (1), acceptor_ (io_)
    {
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
                                        tcp::socket socket) {
            if (!error)
                std::make_shared<session> (std::move (socket), input_)->start ();
            else if (error != asio::error::connection_aborted) {
                /* Out of descriptors: trying again at once would not end. */
                std::cerr << "accept: " << error.message () << '\n';
                return;
            }
            accept ();
        });
    }

    session::read_buffer input_; /* outlives io_, whose handlers hold sessions */
    asio::io_context io_;
    tcp::acceptor acceptor_;
    std::thread thread_;
};

/* Blocks until one of the signals comes, which must be blocked. */
void wait_for (const sigset_t &signals)
{
    int number;
    sigwait (&signals, &number);
}

void serve (const config &config)
{
    sigset_t signals;
    sigemptyset (&signals);
    sigaddset (&signals, SIGTERM);
    sigaddset (&signals, SIGINT);
    pthread_sigmask (SIG_BLOCK, &signals, nullptr);

    auto port = static_cast<unsigned short> (config.port);
    std::vector<std::unique_ptr<loop>> loops;
    for (long i = 0; i < config.io_threads; i++) {
        loops.push_back (std::make_unique<loop> (config, port));
        port = loops.back ()->port ();
    }
    for (auto &loop : loops)
        loop->start ();
    std::cout << "LISTENING " << port << std::endl;

    wait_for (signals);
    for (auto &loop : loops)
        loop->stop ();
}
}

int main (int argc, char **argv)
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
    };
    settings_result settings =
      settings_read (table, std::size (table), argc, argv);
    if (settings != SETTINGS_OK)
        return settings == SETTINGS_HELP ? 0 : 2;
    process_raise_descriptor_limit ();
    try {
        serve (config);
    }
    catch (const std::exception &error) {
        std::cerr << "asio_echo: " << error.what () << '\n';
        return 1;
    }
    return 0;
}
