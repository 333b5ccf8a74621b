/* SPDX-License-Identifier: MPL-2.0 */
/* A connection of the Asio echo server over TCP. */
#ifndef ASIO_ECHO_SESSION_HPP
#define ASIO_ECHO_SESSION_HPP

#include "echo_session.hpp"

/* A session waits until there is something to read, and only then takes the read
 * buffer of its thread: a silent connection holds none. What was read is written
 * at once, straight from that buffer, and only what the kernel does not take
 * then goes through the session's own buffers. */
class session : public echo_session<asio::ip::tcp::socket, session>
{
  public:
    session (asio::ip::tcp::socket socket, read_buffer &input) :
        echo_session (std::move (socket)), input_ (input)
    {
    }

    void start ()
    {
        asio::error_code error;
        stream_.non_blocking (true, error);
        if (!error)
            read ();
    }

  private:
    friend echo_session;

    void read ()
    {
        reading_ = true;
        stream_.async_wait (
          asio::ip::tcp::socket::wait_read,
          [self = shared_from_this ()] (asio::error_code error) {
              self->reading_ = false;
              if (!error)
                  self->readable ();
          });
    }

    void readable ()
    {
        asio::error_code error;
        std::size_t size = stream_.read_some (asio::buffer (input_), error);
        if (!error)
            echo (size);
        else if (error == asio::error::would_block)
            read ();
    }

    void echo (std::size_t size)
    {
        std::size_t sent = 0;
        if (idle ()) {
            asio::error_code error;
            sent = stream_.write_some (asio::buffer (input_, size), error);
            if (error && error != asio::error::would_block)
                return;
        }
        send (input_.data () + sent, size - sent);
    }

    read_buffer &input_;
};

#endif
