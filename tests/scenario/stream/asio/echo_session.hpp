/* SPDX-License-Identifier: MPL-2.0 */
/* What the sessions of the Asio echo servers share: the buffers between what was
 * read and what is written. */
#ifndef ASIO_ECHO_ECHO_SESSION_HPP
#define ASIO_ECHO_ECHO_SESSION_HPP

#include <asio.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

/* The read buffer of a thread. */
using read_buffer = std::array<char, 64 * 1024>;

/* What is to be written is appended to the main buffer; as soon as the flush
 * buffer is written, the two change places, so reading goes on during a write.
 * Session has a method read, which begins to read and calls received, and a
 * member reading_. Used by one thread only. */
template <class Stream, class Session>
class echo_session : public std::enable_shared_from_this<Session>
{
  protected:
    explicit echo_session (Stream stream) : stream_ (std::move (stream)) {}

    /* Whether a write would not overtake another one. */
    bool idle () const { return flush_.empty (); }

    void send (const char *bytes, std::size_t size)
    {
        if (size > 0)
            main_.insert (main_.end (), bytes, bytes + size);
        if (flush_.empty () && !main_.empty ())
            flush ();
        if (main_.size () < main_limit)
            self ().read ();
    }

    Stream stream_;
    bool reading_ = false;

  private:
    using buffer = std::vector<char>;

    /* From here on the peer is not read until it takes its answers. */
    static constexpr std::size_t main_limit = 1024 * 1024;

    Session &self () { return static_cast<Session &> (*this); }

    void flush ()
    {
        flush_.swap (main_);
        asio::async_write (
          stream_, asio::buffer (flush_),
          [session = this->shared_from_this ()] (asio::error_code error,
                                                 std::size_t) {
              if (!error)
                  session->flushed ();
          });
    }

    void flushed ()
    {
        flush_.clear ();
        if (!main_.empty ())
            flush ();
        if (!reading_)
            self ().read ();
    }

    buffer main_;  /* to be written after flush_ */
    buffer flush_; /* being written, unless it is empty */
};

#endif
