/* SPDX-License-Identifier: MPL-2.0 */
/* A connection of the Asio echo server. */
#ifndef ASIO_ECHO_SESSION_HPP
#define ASIO_ECHO_SESSION_HPP

#include <asio.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

/* A session waits until there is something to read, and only then takes the read
 * buffer of its thread: a silent connection holds none. What was read is written
 * at once, straight from that buffer. What the kernel does not take then is
 * appended to the main buffer; as soon as the flush buffer is written, the two
 * change places, so reading goes on during a write. Used by one thread only. */
class session : public std::enable_shared_from_this<session>
{
  public:
    using read_buffer = std::array<char, 64 * 1024>;

    session (asio::ip::tcp::socket socket, read_buffer &input) :
        socket_ (std::move (socket)), input_ (input)
    {
    }

    void start ()
    {
        asio::error_code error;
        socket_.non_blocking (true, error);
        if (!error)
            read ();
    }

  private:
    using buffer = std::vector<char>;

    /* From here on the peer is not read until it takes its answers. */
    static constexpr std::size_t main_limit = 1024 * 1024;

    void read ()
    {
        reading_ = true;
        socket_.async_wait (
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
        std::size_t size = socket_.read_some (asio::buffer (input_), error);
        if (!error)
            send (size);
        else if (error == asio::error::would_block)
            read ();
    }

    void send (std::size_t size)
    {
        std::size_t sent = 0;
        if (flush_.empty ()) {
            asio::error_code error;
            sent = socket_.write_some (asio::buffer (input_, size), error);
            if (error && error != asio::error::would_block)
                return;
        }
        if (sent < size) {
            main_.insert (main_.end (), input_.data () + sent,
                          input_.data () + size);
            if (flush_.empty ())
                flush ();
        }
        if (main_.size () < main_limit)
            read ();
    }

    void flush ()
    {
        flush_.swap (main_);
        asio::async_write (
          socket_, asio::buffer (flush_),
          [self = shared_from_this ()] (asio::error_code error, std::size_t) {
              if (!error)
                  self->flushed ();
          });
    }

    void flushed ()
    {
        flush_.clear ();
        if (!main_.empty ())
            flush ();
        if (!reading_)
            read ();
    }

    asio::ip::tcp::socket socket_;
    bool reading_ = false;
    read_buffer &input_;
    buffer main_;  /* to be written after flush_ */
    buffer flush_; /* being written, unless it is empty */
};

#endif
