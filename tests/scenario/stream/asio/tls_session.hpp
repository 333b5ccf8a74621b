/* SPDX-License-Identifier: MPL-2.0 */
/* A connection of the Asio echo server over TLS. */
#ifndef ASIO_ECHO_TLS_SESSION_HPP
#define ASIO_ECHO_TLS_SESSION_HPP

#include "echo_session.hpp"

#include <asio/ssl.hpp>

/* A read that Asio has begun holds its buffer, so every session has one, of the
 * size of the longest record. */
class tls_session
    : public echo_session<asio::ssl::stream<asio::ip::tcp::socket>, tls_session>
{
  public:
    tls_session (asio::ip::tcp::socket socket, asio::ssl::context &context) :
        echo_session ({std::move (socket), context})
    {
    }

    void start ()
    {
        stream_.async_handshake (
          asio::ssl::stream_base::server,
          [self = shared_from_this ()] (asio::error_code error) {
              if (!error)
                  self->read ();
          });
    }

  private:
    friend echo_session;

    void read ()
    {
        reading_ = true;
        stream_.async_read_some (
          asio::buffer (input_),
          [self = shared_from_this ()] (asio::error_code error,
                                        std::size_t size) {
              self->reading_ = false;
              if (!error)
                  self->send (self->input_.data (), size);
          });
    }

    std::array<char, 16 * 1024> input_;
};

#endif
