/* SPDX-License-Identifier: MPL-2.0 */
/*
 * zlink for C++17: contexts, STREAM sockets in the mode FAST, messages, batches, monitors. One
 * header over zlink.h, which says what each call does and how it fails; link with libzlink.so.
 *
 *  - Nothing here throws, except result::value () where exceptions are on. It compiles with
 *    -fno-exceptions and -fno-rtti.
 *  - A call that can fail returns a result: a value, or an error with an errno and one sentence.
 *  - Contexts, sockets, monitors, messages and batches own what they stand for, can be moved and not
 *    be copied, and end it once. One that was moved from, or closed, gives EFAULT or ENOTSOCK.
 *  - Threads: a message or a batch belongs to one at a time; so does a socket, except for send, publish,
 *    multicast and what ends peers, which any number may call while one receives.
 *  - Times are milliseconds, sizes bytes.
 */
#ifndef ZLINK_HPP_INCLUDED
#define ZLINK_HPP_INCLUDED

#include "zlink.h"

#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#ifdef __cpp_exceptions
#include <stdexcept>
#endif

namespace zlink
{
/* Units with and without exceptions may be linked into one program. */
#ifdef __cpp_exceptions
inline namespace throwing
{
#else
inline namespace aborting
{
#endif

/* ----------------------------------------------------------------- errors */

/* Why a call failed. */
class error
{
  public:
    error () = default;
    explicit error (int code, std::string detail = {}) : code_ (code), detail_ (std::move (detail)) {}

    /* What the calling thread's last call failed with. */
    static error last ()
    {
        int code = zlink_errno ();
        return error (code, zlink_error_detail ());
    }

    int code () const noexcept { return code_; } /* an errno */
    const std::string &detail () const noexcept { return detail_; } /* one sentence, or "" */
    std::string text () const /* "Address already in use: cannot listen on …" */
    {
        std::string text = zlink_strerror (code_);
        return detail_.empty () ? text : text + ": " + detail_;
    }

    bool again () const noexcept { return code_ == EAGAIN; } /* it would have had to wait longer */
    bool gone () const noexcept { return code_ == EHOSTUNREACH; } /* no such peer, or no longer */
    bool interrupted () const noexcept { return code_ == EINTR; } /* a signal handler ran */
    bool ended () const noexcept { return code_ == ETERM; } /* the context was shut down */

  private:
    int code_ = 0;
    std::string detail_;
};

#ifdef __cpp_exceptions
/* What result::value () throws. */
class failure : public std::runtime_error
{
  public:
    explicit failure (zlink::error error) : std::runtime_error (error.text ()), error_ (std::move (error)) {}
    const zlink::error &error () const noexcept { return error_; }

  private:
    zlink::error error_;
};
#endif

namespace detail
{
[[noreturn]] inline void fail (const error &error)
{
#ifdef __cpp_exceptions
    throw failure (error);
#else
    std::fprintf (stderr, "zlink: %s\n", error.text ().c_str ());
    std::abort ();
#endif
}
}

/* A value, or why there is none. */
template <class T>
class [[nodiscard]] result
{
  public:
    result (T value) : content_ (std::in_place_index<0>, std::move (value)) {}
    result (zlink::error error) : content_ (std::in_place_index<1>, std::move (error)) {}

    bool ok () const noexcept { return content_.index () == 0; }
    explicit operator bool () const noexcept { return ok (); }

    /* The value. Without one it throws a failure; without exceptions it prints the error and aborts. */
    T &value () & { return *checked (); }
    T value () && { return std::move (*checked ()); }
    T value_or (T other) && { return ok () ? std::move (*std::get_if<0> (&content_)) : std::move (other); }

    /* Only when it is ok. */
    T &operator* () noexcept { return *std::get_if<0> (&content_); }
    T *operator->() noexcept { return std::get_if<0> (&content_); }
    /* Only when it is not. */
    const zlink::error &error () const noexcept { return *std::get_if<1> (&content_); }

  private:
    T *checked ()
    {
        if (!ok ())
            detail::fail (error ());
        return std::get_if<0> (&content_);
    }

    std::variant<T, zlink::error> content_;
};

template <>
class [[nodiscard]] result<void>
{
  public:
    result () = default;
    result (zlink::error error) : error_ (std::move (error)) {}

    bool ok () const noexcept { return !error_; }
    explicit operator bool () const noexcept { return ok (); }
    void value () const
    {
        if (error_)
            detail::fail (*error_);
    }
    const zlink::error &error () const noexcept { return *error_; }

  private:
    std::optional<zlink::error> error_;
};

namespace detail
{
/* What a function of C returned that has no other result than success. */
inline result<void> done (int returned)
{
    if (returned < 0)
        return error::last ();
    return {};
}

inline result<std::size_t> counted (int returned)
{
    if (returned < 0)
        return error::last ();
    return static_cast<std::size_t> (returned);
}

/* A text as the library takes it, which ends with a NUL. One that has another is refused, because the
 * library would see another text. */
struct c_text
{
    c_text (const char *given) : text (given) {}
    c_text (const std::string &given) : text (given.c_str ()), cut (given.find ('\0') != std::string::npos) {}
    const char *text;
    bool cut = false;
};

inline error has_nul ()
{
    return error (EINVAL, "the text has a NUL in it");
}

/* A number of the library's type T that comes from any other type of integer. */
template <class T, class V>
constexpr bool fits (V value)
{
    if constexpr (std::is_signed_v<V>)
        if (value < 0)
            return std::is_signed_v<T> && static_cast<std::intmax_t> (value) >= static_cast<std::intmax_t> (std::numeric_limits<T>::min ());
    return static_cast<std::uintmax_t> (value) <= static_cast<std::uintmax_t> (std::numeric_limits<T>::max ());
}

inline error too_large ()
{
    return error (EINVAL, "the option takes no number of that size");
}

template <class V>
using if_number = std::enable_if_t<std::is_integral_v<V>, int>;
}

/* ------------------------------------------------------------------ views */

/* Bytes that belong to somebody else. */
class bytes
{
  public:
    constexpr bytes () = default;
    constexpr bytes (const void *data, std::size_t size) : data_ (data), size_ (size) {}
    bytes (const char *text) : bytes (text, std::strlen (text)) {}
    /* Anything with data () and size () whose elements are bytes: std::string_view, std::vector… */
    template <class C, class E = std::remove_pointer_t<decltype (std::declval<const C &> ().data ())>>
    constexpr bytes (const C &container) : bytes (container.data (), container.size ())
    {
        static_assert (sizeof (E) == 1, "the elements are bytes");
    }

    const unsigned char *data () const noexcept { return static_cast<const unsigned char *> (data_); }
    constexpr std::size_t size () const noexcept { return size_; }
    constexpr bool empty () const noexcept { return size_ == 0; }
    const unsigned char *begin () const noexcept { return data (); }
    const unsigned char *end () const noexcept { return data () + size_; }
    unsigned char operator[] (std::size_t at) const noexcept { return data ()[at]; }
    std::string_view text () const noexcept { return {static_cast<const char *> (data_), size_}; }

  private:
    const void *data_ = "";
    std::size_t size_ = 0;
};

/* --------------------------------------------------------------- messages */

using peer_id = std::uint32_t; /* a routing id; 0: nobody */

enum class event
{
    data = ZLINK_STREAM_DATA,
    connected = ZLINK_STREAM_CONNECTED,
    disconnected = ZLINK_STREAM_DISCONNECTED,
    writable = ZLINK_STREAM_WRITABLE,
    drained = ZLINK_STREAM_DRAINED, /* of the socket, with the peer 0 */
    asking = ZLINK_STREAM_ASKING
};

/* Why a connection ended: doc/reasons.md. */
enum class reason
{
    unknown = ZLINK_STREAM_REASON_UNKNOWN,
    peer_closed = ZLINK_STREAM_REASON_PEER_CLOSED,
    reset = ZLINK_STREAM_REASON_RESET,
    idle = ZLINK_STREAM_REASON_IDLE,
    no_pong = ZLINK_STREAM_REASON_NO_PONG,
    handshake = ZLINK_STREAM_REASON_HANDSHAKE,
    protocol = ZLINK_STREAM_REASON_PROTOCOL,
    too_long = ZLINK_STREAM_REASON_TOO_LONG,
    queue_bound = ZLINK_STREAM_REASON_QUEUE_BOUND,
    rate = ZLINK_STREAM_REASON_RATE,
    limit = ZLINK_STREAM_REASON_LIMIT,
    closed_here = ZLINK_STREAM_REASON_CLOSED_HERE,
    aborted_here = ZLINK_STREAM_REASON_ABORTED_HERE,
    drained = ZLINK_STREAM_REASON_DRAINED,
    first_message = ZLINK_STREAM_REASON_FIRST_MESSAGE,
    age = ZLINK_STREAM_REASON_AGE,
    stalled = ZLINK_STREAM_REASON_STALLED,
    context = ZLINK_STREAM_REASON_CONTEXT,
    no_memory = ZLINK_STREAM_REASON_NO_MEMORY,
    refused = ZLINK_STREAM_REASON_REFUSED,
    undecided = ZLINK_STREAM_REASON_UNDECIDED
};

/* A message, or an event. One that was moved from is empty. */
class message
{
  public:
    message () noexcept { zlink_msg_init (&msg_); }
    message (message &&other) noexcept : message () { zlink_msg_move (&msg_, &other.msg_); }
    message &operator= (message &&other) noexcept
    {
        if (this != &other)
            zlink_msg_move (&msg_, &other.msg_);
        return *this;
    }
    ~message () { zlink_msg_close (&msg_); }

    /* Of size bytes, which the caller writes. ENOMEM. */
    static result<message> of_size (std::size_t size)
    {
        message made;
        if (zlink_msg_init_size (&made.msg_, size) == 0)
            return made;
        error why = error::last ();
        zlink_msg_init (&made.msg_);
        return why;
    }

    /* With a copy of the bytes, for a peer. ENOMEM; EINVAL: the peer is 0. */
    static result<message> copy (peer_id peer, bytes body)
    {
        result<message> made = copy (body);
        if (made && zlink_msg_set_routing_id (&made->msg_, peer) != 0)
            return error::last ();
        return made;
    }
    static result<message> copy (bytes body)
    {
        result<message> made = of_size (body.size ());
        if (made && !body.empty ())
            std::memcpy (made->data (), body.data (), body.size ());
        return made;
    }

    /* Around a container, such as a std::string or a std::vector of bytes, without a copy of its bytes.
     * It is destroyed once, when they are in the kernel or the last share is gone, on any thread. ENOMEM. */
    template <class C>
    static result<message> adopt (C container)
    {
        static_assert (sizeof (*container.data ()) == 1, "the elements are bytes");
        std::unique_ptr<C> kept (new (std::nothrow) C (std::move (container)));
        if (!kept)
            return error (ENOMEM);
        message made;
        zlink_free_fn *end = [] (void *, void *owner) { delete static_cast<C *> (owner); };
        void *data = const_cast<void *> (static_cast<const void *> (kept->data ()));
        if (zlink_msg_init_data (&made.msg_, data, kept->size (), end, kept.get ()) != 0) {
            error why = error::last ();
            zlink_msg_init (&made.msg_);
            return why;
        }
        kept.release ();
        return made;
    }

    /* Another message with the same bytes, which are shared if they are many. */
    result<message> share ()
    {
        message made;
        if (zlink_msg_copy (&made.msg_, &msg_) != 0)
            return error::last ();
        return made;
    }

    /* Who sent it, or who will get it. EINVAL: 0. */
    peer_id peer () const noexcept { return zlink_msg_routing_id (&msg_); }
    result<void> set_peer (peer_id peer) { return detail::done (zlink_msg_set_routing_id (&msg_, peer)); }

    zlink::event event () const noexcept { return static_cast<zlink::event> (zlink_msg_get (&msg_, ZLINK_STREAM_EVENT)); }
    bool is_data () const noexcept { return event () == zlink::event::data; }

    /* Of event::disconnected: why, and the code of a WebSocket. */
    zlink::reason reason () const noexcept
    {
        return static_cast<zlink::reason> (zlink_msg_get (&msg_, ZLINK_STREAM_REASON));
    }
    int close_code () const noexcept { return zlink_msg_get (&msg_, ZLINK_STREAM_CLOSE_CODE); }

    /* With options::framing 1: it came, or is to be sent, as text. EINVAL: an event. */
    bool is_text () const noexcept { return zlink_msg_get (&msg_, ZLINK_STREAM_TEXT) == 1; }
    result<void> set_text (bool text) { return detail::done (zlink_msg_set (&msg_, ZLINK_STREAM_TEXT, text)); }

    /* With options::framing 3: what came in front of the body, or is to be sent in front of it, until
     * the message is sent, received into, destroyed or given another. Empty: it has none. */
    bytes header () const noexcept
    {
        std::size_t size = 0;
        const void *header = zlink_msg_header (&msg_, &size);
        return {size > 0 ? header : "", size};
    }
    /* At most 65535 bytes (EMSGSIZE), which are copied; none take the header away. EINVAL: an event, or text. */
    result<void> set_header (bytes header)
    {
        return detail::done (zlink_msg_set_header (&msg_, header.data (), header.size ()));
    }

    /* The bytes, until the message is sent, received into or destroyed. */
    void *data () noexcept { return zlink_msg_data (&msg_); }
    std::size_t size () const noexcept { return zlink_msg_size (&msg_); }
    bytes body () const noexcept { return {zlink_msg_data (const_cast<zlink_msg_t *> (&msg_)), size ()}; }
    std::string_view text () const noexcept { return body ().text (); }

    /* "Peer-Address", "Peer-Port", "Close-Reason", and what options::properties names; of a received
     * message, also when the peer has gone. Empty: it has none. */
    std::optional<std::string_view> property (detail::c_text name) const noexcept
    {
        const char *text = name.cut ? nullptr : zlink_msg_gets (&msg_, name.text);
        return text ? std::optional<std::string_view> (text) : std::nullopt;
    }

    /* What socket::set_peer_data gave for the peer, which has to have been a T. */
    template <class T>
    T *peer_data () const noexcept
    {
        return static_cast<T *> (zlink_msg_peer_data (&msg_));
    }

    zlink_msg_t *handle () noexcept { return &msg_; }

  private:
    zlink_msg_t msg_;
};
static_assert (sizeof (message) == sizeof (zlink_msg_t), "a batch is an array of either");

/* Room for capacity messages, of which size () are in use. Without the memory for them capacity () is 0. */
class batch
{
  public:
    explicit batch (std::size_t capacity)
        : messages_ (capacity <= PTRDIFF_MAX / sizeof (message) ? new (std::nothrow) message[capacity] : nullptr),
          capacity_ (messages_ ? capacity : 0)
    {
    }
    batch (batch &&other) noexcept
        : messages_ (std::move (other.messages_)), capacity_ (std::exchange (other.capacity_, 0)),
          size_ (std::exchange (other.size_, 0))
    {
    }
    batch &operator= (batch &&other) noexcept
    {
        messages_ = std::move (other.messages_);
        capacity_ = std::exchange (other.capacity_, 0);
        size_ = std::exchange (other.size_, 0);
        return *this;
    }

    std::size_t capacity () const noexcept { return capacity_; }
    std::size_t size () const noexcept { return size_; }
    bool empty () const noexcept { return size_ == 0; }
    message &operator[] (std::size_t at) noexcept { return messages_[at]; }
    message *begin () noexcept { return messages_.get (); }
    message *end () noexcept { return messages_.get () + size_; }

    /* Adds a message. ENOBUFS: the batch is full. */
    result<void> add (message &&added)
    {
        if (size_ == capacity_)
            return error (ENOBUFS, "the batch is full");
        messages_[size_++] = std::move (added);
        return {};
    }
    /* Adds a message for a peer, with a copy of the bytes. ENOBUFS, ENOMEM, EINVAL. */
    result<void> add (peer_id peer, bytes body)
    {
        result<message> made = message::copy (peer, body);
        if (!made)
            return made.error ();
        return add (std::move (*made));
    }

    /* Releases every message. */
    void clear () noexcept
    {
        for (message &each : *this)
            each = message ();
        size_ = 0;
    }

  private:
    friend class socket;
    zlink_msg_t *at (std::size_t index) noexcept { return messages_[index].handle (); }

    std::unique_ptr<message[]> messages_;
    std::size_t capacity_, size_ = 0;
};

/* ---------------------------------------------------------------- options */

/* An option with the type of its value; doc/options.md has meaning and range of each. */
template <class T>
struct option
{
    int number;
};

namespace options
{
inline constexpr option<std::uint64_t> affinity{ZLINK_AFFINITY};
inline constexpr option<int> sndbuf{ZLINK_SNDBUF}, rcvbuf{ZLINK_RCVBUF};
inline constexpr option<int> fd{ZLINK_FD}, events{ZLINK_EVENTS}, type{ZLINK_TYPE}; /* get only */
inline constexpr option<int> linger{ZLINK_LINGER}, backlog{ZLINK_BACKLOG};
inline constexpr option<int> reconnect_ivl{ZLINK_RECONNECT_IVL}, reconnect_ivl_max{ZLINK_RECONNECT_IVL_MAX};
inline constexpr option<std::int64_t> maxmsgsize{ZLINK_MAXMSGSIZE};
inline constexpr option<int> sndhwm{ZLINK_SNDHWM}, rcvhwm{ZLINK_RCVHWM};
inline constexpr option<int> rcvtimeo{ZLINK_RCVTIMEO}, sndtimeo{ZLINK_SNDTIMEO};
inline constexpr option<std::string> last_endpoint{ZLINK_LAST_ENDPOINT}; /* get only */
inline constexpr option<int> tcp_keepalive{ZLINK_TCP_KEEPALIVE}, tcp_keepalive_cnt{ZLINK_TCP_KEEPALIVE_CNT};
inline constexpr option<int> tcp_keepalive_idle{ZLINK_TCP_KEEPALIVE_IDLE};
inline constexpr option<int> tcp_keepalive_intvl{ZLINK_TCP_KEEPALIVE_INTVL};
inline constexpr option<int> immediate{ZLINK_IMMEDIATE}, ipv6{ZLINK_IPV6}, tos{ZLINK_TOS}, use_fd{ZLINK_USE_FD};
inline constexpr option<int> handshake_ivl{ZLINK_HANDSHAKE_IVL}, connect_timeout{ZLINK_CONNECT_TIMEOUT};
inline constexpr option<int> heartbeat_ivl{ZLINK_HEARTBEAT_IVL}, heartbeat_ttl{ZLINK_HEARTBEAT_TTL};
inline constexpr option<int> heartbeat_timeout{ZLINK_HEARTBEAT_TIMEOUT}, tcp_maxrt{ZLINK_TCP_MAXRT};
inline constexpr option<std::string> bindtodevice{ZLINK_BINDTODEVICE};
inline constexpr option<std::string> routing_id{ZLINK_ROUTING_ID};
inline constexpr option<std::string> connect_routing_id{ZLINK_CONNECT_ROUTING_ID}; /* set only */
inline constexpr option<std::string> tls_cert{ZLINK_TLS_CERT}, tls_key{ZLINK_TLS_KEY}, tls_ca{ZLINK_TLS_CA};
inline constexpr option<int> tls_verify{ZLINK_TLS_VERIFY}, tls_require_client_cert{ZLINK_TLS_REQUIRE_CLIENT_CERT};
inline constexpr option<std::string> tls_hostname{ZLINK_TLS_HOSTNAME}, tls_password{ZLINK_TLS_PASSWORD};
inline constexpr option<int> tls_trust_system{ZLINK_TLS_TRUST_SYSTEM};
inline constexpr option<std::string> tls_ciphers{ZLINK_TLS_CIPHERS}, tls_alpn{ZLINK_STREAM_TLS_ALPN};
inline constexpr option<std::string> tls_ticket_keys{ZLINK_STREAM_TLS_TICKET_KEYS}, tls_ocsp{ZLINK_STREAM_TLS_OCSP};
inline constexpr option<std::string> tls_certs{ZLINK_STREAM_TLS_CERTS}, listen_name{ZLINK_STREAM_LISTEN_NAME};
inline constexpr option<int> tls_min_version{ZLINK_STREAM_TLS_MIN_VERSION};
inline constexpr option<int> mode{ZLINK_STREAM_MODE}; /* a socket is made with FAST */
inline constexpr option<int> close_timeout{ZLINK_STREAM_CLOSE_TIMEOUT}, header_max{ZLINK_STREAM_HEADER_MAX};
inline constexpr option<int> profile{ZLINK_STREAM_PROFILE};
inline constexpr option<int> send_bytes{ZLINK_STREAM_SEND_BYTES}, full_policy{ZLINK_STREAM_FULL_POLICY};
inline constexpr option<std::int64_t> send_bytes_total{ZLINK_STREAM_SEND_BYTES_TOTAL};
inline constexpr option<int> recv_bytes{ZLINK_STREAM_RECV_BYTES};
inline constexpr option<std::int64_t> recv_bytes_total{ZLINK_STREAM_RECV_BYTES_TOTAL};
inline constexpr option<int> rate_messages{ZLINK_STREAM_RATE_MESSAGES}, rate_bytes{ZLINK_STREAM_RATE_BYTES};
inline constexpr option<int> rate_policy{ZLINK_STREAM_RATE_POLICY}, idle_timeout{ZLINK_STREAM_IDLE_TIMEOUT};
inline constexpr option<int> first_message_timeout{ZLINK_STREAM_FIRST_MESSAGE_TIMEOUT};
inline constexpr option<int> max_age{ZLINK_STREAM_MAX_AGE}, max_connections{ZLINK_STREAM_MAX_CONNECTIONS};
inline constexpr option<int> address_connections{ZLINK_STREAM_ADDRESS_CONNECTIONS};
inline constexpr option<int> address_prefix4{ZLINK_STREAM_ADDRESS_PREFIX4};
inline constexpr option<int> address_prefix6{ZLINK_STREAM_ADDRESS_PREFIX6};
inline constexpr option<int> accept_rate{ZLINK_STREAM_ACCEPT_RATE};
inline constexpr option<int> address_accept_rate{ZLINK_STREAM_ADDRESS_ACCEPT_RATE};
inline constexpr option<std::string> allow{ZLINK_STREAM_ALLOW}, deny{ZLINK_STREAM_DENY};
inline constexpr option<int> handshakes{ZLINK_STREAM_HANDSHAKES}, property_bytes{ZLINK_STREAM_PROPERTY_BYTES};
inline constexpr option<std::string> properties{ZLINK_STREAM_PROPERTIES}, proxy_from{ZLINK_STREAM_PROXY_FROM};
inline constexpr option<std::string> ws_protocols{ZLINK_STREAM_WS_PROTOCOLS}, ws_origins{ZLINK_STREAM_WS_ORIGINS};
inline constexpr option<std::string> ws_health_path{ZLINK_STREAM_WS_HEALTH_PATH}, ws_paths{ZLINK_STREAM_WS_PATHS};
inline constexpr option<int> framing{ZLINK_STREAM_FRAMING}, ws_deflate{ZLINK_STREAM_WS_DEFLATE};
inline constexpr option<int> reuseport{ZLINK_STREAM_REUSEPORT};
inline constexpr option<int> accept_timeout{ZLINK_STREAM_ACCEPT_TIMEOUT}, peer_data{ZLINK_STREAM_PEER_DATA};
}

/* --------------------------------------------------------------- contexts */

/* The io threads. Its sockets hold it, too: who goes last ends it, and waits then until what was sent is
 * out (options::linger). Any thread. */
class context
{
  public:
    context (context &&) noexcept = default;
    context &operator= (context &&) noexcept = default;

    /* EMFILE, ENOMEM, EAGAIN. */
    static result<context> open ()
    {
        void *made = zlink_ctx_new ();
        if (!made)
            return error::last ();
        return context (made);
    }

    /* ZLINK_IO_THREADS and other options of contexts. EINVAL. */
    template <class V, detail::if_number<V> = 0>
    result<void> set (int option, V value)
    {
        if (!detail::fits<int> (value))
            return detail::too_large ();
        return detail::done (zlink_ctx_set (handle (), option, static_cast<int> (value)));
    }
    result<int> get (int option) const
    {
        errno = 0; /* -1 is also the value of an option that nobody has set */
        int value = zlink_ctx_get (handle (), option);
        if (value < 0 && errno != 0)
            return error::last ();
        return value;
    }

    /* Programs of the same user, such as zlink-top, may ask for the statistics at this path; NULL ends that. */
    result<void> set_admin (const char *path) { return detail::done (zlink_ctx_set_admin (handle (), path)); }

    /* Makes every blocked and later call on its sockets fail with ETERM. */
    result<void> shutdown () { return detail::done (zlink_ctx_shutdown (handle ())); }

    void *handle () const noexcept { return held_.get (); }

  private:
    friend class socket;
    explicit context (void *made) : held_ (made, [] (void *ended) {
                                        while (zlink_ctx_term (ended) != 0 && zlink_errno () == EINTR) {
                                        }
                                    })
    {
    }

    std::shared_ptr<void> held_;
};

/* ----------------------------------------------------------------- the log */

/* A line, without its end, of a level: ZLINK_LOG_ERROR to ZLINK_LOG_DEBUG. */
using log_function = std::function<void (int level, std::string_view line)>;

namespace detail
{
struct log_state
{
    std::mutex one;
    std::unique_ptr<log_function> to; /* what C has */
};

/* It is there as long as the process: the log may be on to the end. */
inline log_state &the_log ()
{
    static log_state *state = new log_state;
    return *state;
}

inline thread_local bool is_logging = false;

/* An exception of the function ends the process. */
inline void log_line (int level, const char *line, void *to) noexcept
{
    is_logging = true;
    (*static_cast<log_function *> (to)) (level, line);
    is_logging = false;
}
}

/* Has a function get a line for what happens at all sockets of the process, up to a level; an empty one, or
 * ZLINK_LOG_NONE, ends it. The function runs on a thread of the library, one line after another, and holds up no socket;
 * it may use sockets, but not call this. When this returns, the function before does not run any more, and is destroyed.
 * EINVAL, EFSM, EMTHREAD, ENOMEM. */
inline result<void> set_log (int level, log_function to)
{
    if (detail::is_logging)
        return error (EFSM, "the function of the log cannot replace itself");
    std::unique_ptr<log_function> made;
    if (to && !(made = std::unique_ptr<log_function> (new (std::nothrow) log_function (std::move (to)))))
        return error (ENOMEM);
    detail::log_state &log = detail::the_log ();
    std::lock_guard<std::mutex> one (log.one);
    if (zlink_set_log (made ? detail::log_line : nullptr, level, made.get ()) != 0)
        return error::last ();
    log.to.swap (made);
    return {};
}

/* --------------------------------------------------------------- monitors */

/* An event of a monitor: doc/api/monitoring.md. */
struct monitor_event
{
    std::uint64_t event = 0, value = 0; /* a ZLINK_EVENT_; its value */
    peer_id peer = 0;
    std::string local, remote; /* endpoints, or "" */
    zlink::reason reason = zlink::reason::unknown; /* why the connection ended, or was refused */
    std::string detail; /* one sentence, or "" */
};

/* Any thread, one at a time; it may outlive its socket. */
class monitor
{
  public:
    monitor (monitor &&other) noexcept : handle_ (std::exchange (other.handle_, nullptr)) {}
    monitor &operator= (monitor &&other) noexcept
    {
        std::swap (handle_, other.handle_);
        return *this;
    }
    ~monitor () { (void) close (); }

    /* Waits for the next event, or gives EAGAIN. ENOTSOCK, EINTR, ETERM. */
    result<monitor_event> receive () { return receive (0); }
    result<monitor_event> try_receive () { return receive (ZLINK_DONTWAIT); }

    /* ENOTSOCK: it is closed. */
    result<void> close ()
    {
        void *closed = std::exchange (handle_, nullptr);
        return detail::done (zlink_close (closed));
    }
    void *handle () const noexcept { return handle_; }

  private:
    friend class socket;
    explicit monitor (void *made) : handle_ (made) {}

    result<monitor_event> receive (int flags)
    {
        zlink_monitor_event_t got;
        if (zlink_monitor_recv (handle_, &got, flags) != 0)
            return error::last ();
        monitor_event made;
        made.detail = zlink_error_detail ();
        made.reason = static_cast<zlink::reason> (zlink_monitor_reason (handle_));
        made.event = got.event;
        made.value = got.value;
        if (got.routing_id.size == 4)
            for (int i = 0; i < 4; i++)
                made.peer = made.peer << 8 | got.routing_id.data[i];
        made.local = got.local_addr;
        made.remote = got.remote_addr;
        return made;
    }

    void *handle_;
};

/* ---------------------------------------------------------------- sockets */

/* A STREAM socket in the mode FAST: many peers, each with a number. */
class socket
{
  public:
    socket (socket &&other) noexcept
        : context_ (std::move (other.context_)), handle_ (std::exchange (other.handle_, nullptr))
    {
    }
    socket &operator= (socket &&other) noexcept
    {
        std::swap (handle_, other.handle_);
        std::swap (context_, other.context_);
        return *this;
    }
    ~socket () { (void) close (); }

    /* EMFILE (MAX_SOCKETS), ETERM, EFAULT. */
    static result<socket> open (const context &in)
    {
        void *handle = zlink_socket (in.handle (), ZLINK_STREAM);
        if (!handle)
            return error::last ();
        socket made (in.held_, handle);
        if (result<void> set = made.set (options::mode, ZLINK_STREAM_MODE_FAST); !set)
            return set.error ();
        return made;
    }

    /* Closes it; what was sent goes out for up to options::linger. No other thread may use it any more: end
     * a receive that waits with context::shutdown. ENOTSOCK: it is closed. */
    result<void> close ()
    {
        result<void> closed = detail::done (zlink_close (std::exchange (handle_, nullptr)));
        context_.reset ();
        return closed;
    }

    /* EINVAL: a value that is not possible. */
    template <class T, class V, detail::if_number<V> = 0>
    result<void> set (option<T> option, V value)
    {
        static_assert (std::is_integral_v<T>, "the option is a text");
        if (!detail::fits<T> (value))
            return detail::too_large ();
        T fitting = static_cast<T> (value);
        return set_raw (option.number, &fitting, sizeof fitting);
    }
    result<void> set (option<std::string> option, std::string_view value)
    {
        return set_raw (option.number, value.data () ? value.data () : "", value.size ());
    }

    template <class T>
    result<T> get (option<T> option) const
    {
        T value{};
        std::size_t size = sizeof value;
        if (zlink_getsockopt (handle_, option.number, &value, &size) != 0)
            return error::last ();
        return value;
    }
    result<std::string> get (option<std::string> option) const
    {
        std::string value (65536, '\0');
        std::size_t size = value.size ();
        if (zlink_getsockopt (handle_, option.number, value.data (), &size) != 0)
            return error::last ();
        if (option.number != ZLINK_ROUTING_ID && size > 0) /* which is bytes; behind a text there is a NUL */
            size--;
        value.resize (size);
        return value;
    }
    /* The last bound or connected endpoint, with the port that the system chose. */
    result<std::string> last_endpoint () const { return get (options::last_endpoint); }

    /* doc/endpoints.md has the forms of endpoints, and the errors. */
    result<void> bind (detail::c_text endpoint)
    {
        if (endpoint.cut)
            return detail::has_nul ();
        return detail::done (zlink_bind (handle_, endpoint.text));
    }
    result<void> connect (detail::c_text endpoint)
    {
        if (endpoint.cut)
            return detail::has_nul ();
        return detail::done (zlink_connect (handle_, endpoint.text));
    }
    result<void> unbind (detail::c_text endpoint)
    {
        if (endpoint.cut)
            return detail::has_nul ();
        return detail::done (zlink_unbind (handle_, endpoint.text));
    }
    result<void> disconnect (detail::c_text endpoint)
    {
        if (endpoint.cut)
            return detail::has_nul ();
        return detail::done (zlink_disconnect (handle_, endpoint.text));
    }

    /* Receives into a message, whose old content is released; EAGAIN: options::rcvtimeo was over, or there
     * is none. EINTR, ETERM, ENOTSOCK. */
    result<void> receive (message &into) { return detail::done (zlink_msg_recv (into.handle (), handle_, 0)); }
    result<void> try_receive (message &into)
    {
        return detail::done (zlink_msg_recv (into.handle (), handle_, ZLINK_DONTWAIT));
    }

    /* The same with what is there, up to the capacity; it waits for the first only. Returns its size, which
     * is 0 after an error. */
    result<std::size_t> receive (batch &into) { return receive (into, 0); }
    result<std::size_t> try_receive (batch &into) { return receive (into, ZLINK_DONTWAIT); }

    /* Sends to the peer on the message, which is then empty; after an error it is as before. EAGAIN: its
     * queue is full. EHOSTUNREACH: it has gone. EINVAL: there is no peer on it. EINTR, ETERM, ENOTSOCK. */
    result<void> send (message &sent) { return detail::done (zlink_msg_send (sent.handle (), handle_, 0)); }
    result<void> try_send (message &sent)
    {
        return detail::done (zlink_msg_send (sent.handle (), handle_, ZLINK_DONTWAIT));
    }
    result<void> send (message &&sent) { return send (sent); }
    result<void> try_send (message &&sent) { return try_send (sent); }

    /* The same to a peer of any socket of the process: its id is enough. Any thread. EHOSTUNREACH also: its socket is
     * closed. */
    static result<void> send_any (message &sent) { return detail::done (zlink_stream_send_any (sent.handle (), 0)); }
    static result<void> try_send_any (message &sent)
    {
        return detail::done (zlink_stream_send_any (sent.handle (), ZLINK_DONTWAIT));
    }

    /* Sends a copy of the bytes. ENOMEM also. */
    result<void> send (peer_id peer, bytes body) { return send_copy (peer, body, 0); }
    result<void> try_send (peer_id peer, bytes body) { return send_copy (peer, body, ZLINK_DONTWAIT); }

    /* Sends messages of a batch in order, from first on, and returns how many were taken, which are then empty.
     * When that is less than count, the next call says why. The errors are about the first. EINVAL: there
     * are not so many. */
    result<std::size_t> send (batch &from, std::size_t first, std::size_t count)
    {
        return send (from, first, count, 0);
    }
    result<std::size_t> try_send (batch &from, std::size_t first, std::size_t count)
    {
        return send (from, first, count, ZLINK_DONTWAIT);
    }

    /* Sends every message of a batch, but no event. Those whose peer has gone, or whose queue is full, are left in
     * it, and refused (message &, const error &) is called with each. Other errors end it; EINTR does not. */
    template <class F>
    result<void> send_all (batch &from, F refused)
    {
        return send_all (from, refused, 0);
    }
    template <class F>
    result<void> try_send_all (batch &from, F refused)
    {
        return send_all (from, refused, ZLINK_DONTWAIT);
    }
    result<void> send_all (batch &from)
    {
        return send_all (from, [] (message &, const error &) {});
    }

    /* Sends one message to many peers and returns how many took it; it is then empty. None of these waits.
     * errors: NULL, or count places for 0 or an errno each. EAGAIN, EMSGSIZE, ENOMEM, ENOTSOCK, ETERM. */
    result<std::size_t> multicast (const peer_id *peers, std::size_t count, message &sent, int *errors = nullptr)
    {
        return detail::counted (zlink_stream_multicast (handle_, peers, count, sent.handle (), 0, errors));
    }
    /* The same to the members of a group; except: not to the peer on the message. EINVAL: the name. */
    result<std::size_t> publish (detail::c_text group, message &sent, bool except = false)
    {
        if (group.cut)
            return detail::has_nul ();
        int flags = except ? ZLINK_STREAM_EXCEPT : 0;
        return detail::counted (zlink_stream_publish (handle_, group.text, sent.handle (), flags));
    }
    result<std::size_t> publish (detail::c_text group, message &&sent, bool except = false)
    {
        return publish (group, sent, except);
    }
    /* The same; the message takes the place of the unsent one with the same key. */
    result<std::size_t> publish_key (detail::c_text group, std::uint64_t key, message &sent, bool except = false)
    {
        if (group.cut)
            return detail::has_nul ();
        int flags = except ? ZLINK_STREAM_EXCEPT : 0;
        return detail::counted (zlink_stream_publish_key (handle_, group.text, sent.handle (), key, flags));
    }
    result<std::size_t> publish_key (detail::c_text group, std::uint64_t key, message &&sent, bool except = false)
    {
        return publish_key (group, key, sent, except);
    }
    result<void> send_key (message &sent, std::uint64_t key)
    {
        return detail::done (zlink_stream_send_key (handle_, sent.handle (), key, 0));
    }

    /* A group has a name of 1 to 255 bytes. EINVAL, EHOSTUNREACH, ENOMEM. */
    result<void> join (peer_id peer, detail::c_text group)
    {
        if (group.cut)
            return detail::has_nul ();
        return detail::done (zlink_stream_join (handle_, peer, group.text));
    }
    result<void> leave (peer_id peer, detail::c_text group)
    {
        if (group.cut)
            return detail::has_nul ();
        return detail::done (zlink_stream_leave (handle_, peer, group.text));
    }

    /* Closes a connection once what is queued for it has arrived; with a code and a reason, which may be NULL, for
     * ws and wss; or at once, without what is queued. EHOSTUNREACH, EINVAL. */
    result<void> close_peer (peer_id peer) { return detail::done (zlink_stream_close_peer (handle_, peer)); }
    result<void> close_peer (peer_id peer, int code, detail::c_text reason)
    {
        if (reason.cut)
            return detail::has_nul ();
        return detail::done (zlink_stream_close_peer_with (handle_, peer, code, reason.text));
    }
    result<void> abort_peer (peer_id peer) { return detail::done (zlink_stream_abort_peer (handle_, peer)); }

    /* Decides about somebody who asks (event::asking). EFSM: it is decided. EHOSTUNREACH, EINVAL. */
    result<void> accept_peer (peer_id peer) { return detail::done (zlink_stream_accept_peer (handle_, peer)); }
    /* With the subprotocol of the answer: one that the request offers, or "" for none. */
    result<void> accept_peer (peer_id peer, detail::c_text protocol)
    {
        if (protocol.cut)
            return detail::has_nul ();
        return detail::done (zlink_stream_accept_peer_with (handle_, peer, protocol.text));
    }
    result<void> refuse_peer (peer_id peer, int status = 0, detail::c_text text = nullptr)
    {
        if (text.cut)
            return detail::has_nul ();
        return detail::done (zlink_stream_refuse_peer (handle_, peer, status, text.text));
    }

    /* A property of a peer that is there. EINVAL: it has none of that name. EHOSTUNREACH. */
    result<std::string> peer_property (peer_id peer, detail::c_text name) const
    {
        if (name.cut)
            return detail::has_nul ();
        std::string text (64, '\0');
        for (;;) {
            int size = zlink_stream_peer_gets (handle_, peer, name.text, text.data (), text.size () + 1);
            if (size < 0)
                return error::last ();
            bool whole = static_cast<std::size_t> (size) <= text.size ();
            text.resize (static_cast<std::size_t> (size));
            if (whole)
                return text;
        }
    }

    /* Gives data for a peer, which message::peer_data has back; the library destroys it with the peer's last
     * message, or when other data is given. options::peer_data has to be 1. After an error it is destroyed.
     * EINVAL, EHOSTUNREACH. */
    template <class T>
    result<void> set_peer_data (peer_id peer, std::unique_ptr<T> data)
    {
        zlink_free_fn *end = [] (void *given, void *) { delete static_cast<T *> (given); };
        if (zlink_stream_set_peer_data (handle_, peer, data.get (), data ? end : nullptr, nullptr) != 0)
            return error::last ();
        data.release ();
        return {};
    }

    /* Stops listening and dialling and ends all peers over that time; event::drained says when nobody is left. */
    result<void> drain (int spread_ms, int ws_code = 0)
    {
        return detail::done (zlink_stream_drain (handle_, spread_ms, ws_code));
    }

    result<zlink_stream_stats_t> stats () const
    {
        zlink_stream_stats_t all{};
        all.size = sizeof all;
        if (zlink_stream_stats (handle_, &all) != 0)
            return error::last ();
        return all;
    }

    /* events: an or of ZLINK_EVENT_. EINVAL, EMFILE, ENOTSOCK, ETERM. */
    result<zlink::monitor> monitor (int events = ZLINK_EVENT_ALL)
    {
        void *made = zlink_socket_monitor_open (handle_, events);
        if (!made)
            return error::last ();
        return zlink::monitor (made);
    }

    /* For the rest of zlink.h. */
    void *handle () const noexcept { return handle_; }

  private:
    socket (std::shared_ptr<void> context, void *handle) : context_ (std::move (context)), handle_ (handle) {}

    result<void> set_raw (int option, const void *value, std::size_t size)
    {
        return detail::done (zlink_setsockopt (handle_, option, value, size));
    }

    result<std::size_t> receive (batch &into, int flags)
    {
        into.size_ = 0;
        if (into.capacity_ == 0)
            return error (EINVAL, "a batch without room");
        int count = zlink_stream_recv_batch (handle_, into.at (0), into.capacity_, flags);
        if (count < 0)
            return error::last ();
        into.size_ = static_cast<std::size_t> (count);
        return into.size_;
    }

    result<void> send_copy (peer_id peer, bytes body, int flags)
    {
        result<message> made = message::copy (peer, body);
        if (!made)
            return made.error ();
        return detail::done (zlink_msg_send (made->handle (), handle_, flags));
    }

    result<std::size_t> send (batch &from, std::size_t first, std::size_t count, int flags)
    {
        if (count == 0 || first > from.size_ || count > from.size_ - first)
            return error (EINVAL, "the batch has not so many messages");
        return detail::counted (zlink_stream_send_batch (handle_, from.at (first), count, flags));
    }

    template <class F>
    result<void> send_all (batch &from, F &refused, int flags)
    {
        for (std::size_t first = 0; first < from.size_;) {
            std::size_t end = first; /* of the messages up to the next event */
            while (end < from.size_ && from[end].is_data ())
                end++;
            if (end == first) {
                first++;
                continue;
            }
            result<std::size_t> sent = send (from, first, end - first, flags);
            if (sent)
                first += *sent;
            else if (sent.error ().again () || sent.error ().gone ())
                refused (from[first++], sent.error ());
            else if (!sent.error ().interrupted ())
                return sent.error ();
        }
        return {};
    }

    std::shared_ptr<void> context_; /* ends behind the socket */
    void *handle_;
};
}
}

#endif
