/* SPDX-License-Identifier: MPL-2.0 */
/* The shape of Asio's own example async_tcp_echo_server: read, write all, read.
 * It is what asio_echo is compared with, not a stack of its own.
 * usage: asio_example PORT [THREADS] */
#include <asio.hpp>

#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

using asio::ip::tcp;

#ifndef EXAMPLE_BUFFER
#define EXAMPLE_BUFFER 1024 /* as in the original */
#endif

class session : public std::enable_shared_from_this<session>
{
  public:
    explicit session (tcp::socket socket) : socket_ (std::move (socket)) {}

    void read ()
    {
        socket_.async_read_some (
          asio::buffer (data_),
          [self = shared_from_this ()] (asio::error_code error,
                                        std::size_t size) {
              if (!error)
                  self->write (size);
          });
    }

  private:
    void write (std::size_t size)
    {
        asio::async_write (
          socket_, asio::buffer (data_, size),
          [self = shared_from_this ()] (asio::error_code error, std::size_t) {
              if (!error)
                  self->read ();
          });
    }

    tcp::socket socket_;
    char data_[EXAMPLE_BUFFER];
};

static void accept (tcp::acceptor &acceptor)
{
    acceptor.async_accept (
      [&acceptor] (asio::error_code error, tcp::socket socket) {
          if (!error)
              std::make_shared<session> (std::move (socket))->read ();
          accept (acceptor);
      });
}

int main (int argc, char **argv)
{
    if (argc < 2)
        return 2;
    auto port = static_cast<unsigned short> (std::atoi (argv[1]));
    asio::io_context io;
    asio::signal_set signals (io, SIGTERM, SIGINT);
    signals.async_wait ([&io] (asio::error_code, int) { io.stop (); });
    tcp::acceptor acceptor (io, {tcp::v4 (), port});
    acceptor.listen (32768);
    accept (acceptor);
    std::vector<std::thread> threads;
    for (int i = argc > 2 ? std::atoi (argv[2]) : 1; i > 1; i--)
        threads.emplace_back ([&io] { io.run (); });
    io.run ();
    for (auto &thread : threads)
        thread.join ();
}
