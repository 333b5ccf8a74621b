/* SPDX-License-Identifier: MPL-2.0 */
/* The binding for C++ on the real library: test_cpp [CASE...]. It is built with exceptions, and without. */
#include "check.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace options = zlink::options;

/* ---------------------------------------------------------------- exchange */

static void exchange (const char *transport)
{
    pair p (transport);
    std::vector<unsigned char> longest (100000, 'x');
    const zlink::bytes bodies[] = {"hello", "", longest};
    for (zlink::bytes body : bodies)
        CHECK_OK (p.client.send (p.to_server, body));
    zlink::batch batch (8);
    std::size_t count = 0;
    while (count < 3) {
        CHECK_OK (p.server.receive (batch));
        for (zlink::message &got : batch) {
            CHECK (got.is_data () && got.peer () == p.to_client);
            CHECK (got.text () == bodies[count++].text ());
        }
        CHECK_OK (p.server.send_all (batch)); /* as they came */
    }
    for (zlink::bytes body : bodies)
        CHECK (expect (p.client, zlink::event::data).text () == body.text ());
    CHECK (CHECK_OK (p.server.peer_property (p.to_client, "Transport")) == transport);
    CHECK_OK (p.server.close_peer (p.to_client));
    CHECK (expect (p.client, zlink::event::disconnected).reason () == zlink::reason::peer_closed);
    zlink::message ended = expect (p.server, zlink::event::disconnected);
    CHECK (ended.reason () == zlink::reason::closed_here && ended.property ("Peer-Address") == "127.0.0.1");
    CHECK (!ended.property ("no such"));
    CHECK (CHECK_OK (p.server.stats ()).msgs_in == 3);
}

static void tcp () { exchange ("tcp"); }
static void ws () { exchange ("ws"); }
static void secure (const char *transport)
{
    if (std::getenv ("TLS_CERT"))
        exchange (transport);
    else
        skip (transport, "there is no certificate");
}
static void tls () { secure ("tls"); }
static void wss () { secure ("wss"); }

/* ------------------------------------------------------------------ errors */

static void errors ()
{
    pair p;
    CHECK (CHECK_FAILS (p.server.bind ("5555"), EINVAL) == "endpoint \"5555\" has no \"://\"");
    auto used = p.client.bind (CHECK_OK (p.server.last_endpoint ()));
    CHECK_FAILS (used, EADDRINUSE);
    CHECK (used.error ().text ().find ("Address already in use: ") == 0);
    zlink::message none;
    auto nothing = p.server.try_receive (none);
    CHECK_FAILS (nothing, EAGAIN);
    CHECK (nothing.error ().again ());
    auto nobody = p.server.send (123456789, "hello");
    CHECK (!CHECK_FAILS (nobody, EHOSTUNREACH).empty () && nobody.error ().gone ());
    CHECK_FAILS (p.server.send (0, "hello"), EINVAL);
    CHECK_FAILS (p.server.set (options::framing, 77), EINVAL);
    CHECK_FAILS (p.server.join (p.to_client, ""), EINVAL);
    CHECK_FAILS (p.server.peer_property (p.to_client, "no such"), EINVAL);
    CHECK_FAILS (p.server.monitor (0), EINVAL);
    zlink::batch small (1), none_at_all (0);
    CHECK_OK (small.add (p.to_client, "one"));
    CHECK (CHECK_FAILS (small.add (p.to_client, "two"), ENOBUFS) == "the batch is full");
    CHECK_FAILS (p.server.send (small, 0, 2), EINVAL);
    CHECK_FAILS (p.server.receive (none_at_all), EINVAL);
    CHECK (CHECK_OK (p.server.send (small, 0, 1)) == 1);
    CHECK (expect (p.client, zlink::event::data).text () == "one");
}

/* A message that was not taken stays the caller's, and the others of a batch are sent. */
static void refused ()
{
    pair p;
    zlink::message kept = CHECK_OK (zlink::message::copy (77777, "kept"));
    CHECK_FAILS (p.server.send (kept), EHOSTUNREACH);
    CHECK (kept.text () == "kept" && kept.peer () == 77777);
    zlink::batch batch (3);
    CHECK_OK (batch.add (p.to_client, "first"));
    CHECK_OK (batch.add (std::move (kept)));
    CHECK_OK (batch.add (p.to_client, "last"));
    int refusals = 0;
    CHECK_OK (p.server.try_send_all (batch, [&] (zlink::message &message, const zlink::error &error) {
        CHECK (message.text () == "kept" && error.gone ());
        refusals++;
    }));
    CHECK (refusals == 1);
    CHECK (expect (p.client, zlink::event::data).text () == "first");
    CHECK (expect (p.client, zlink::event::data).text () == "last");
}

/* value () of a result without a value. */
static void no_value ()
{
    pair p;
#ifdef __cpp_exceptions
    try {
        p.server.bind ("5555").value ();
    } catch (const zlink::failure &failure) {
        CHECK (failure.error ().code () == EINVAL);
        CHECK (std::strcmp (failure.what (), "Invalid argument: endpoint \"5555\" has no \"://\"") == 0);
        return;
    }
    CHECK (!"nothing was thrown");
#else
    int ends[2], status;
    char said[256] = "";
    zlink::result<void> failed = p.server.bind ("5555");
    CHECK (pipe (ends) == 0);
    pid_t child = fork ();
    if (child == 0) {
        dup2 (ends[1], 2);
        failed.value ();
        _exit (0);
    }
    CHECK (waitpid (child, &status, 0) == child && WIFSIGNALED (status) && WTERMSIG (status) == SIGABRT);
    CHECK (read (ends[0], said, sizeof said - 1) > 0);
    CHECK (std::strstr (said, "zlink: Invalid argument: endpoint \"5555\" has no \"://\"\n") != nullptr);
#endif
}

/* --------------------------------------------------------------- ownership */

static void closed_once ()
{
    pair p;
    zlink::monitor monitor = CHECK_OK (p.server.monitor ());
    zlink::socket moved = std::move (p.server);
    CHECK_FAILS (p.server.send (p.to_client, "hello"), ENOTSOCK);
    CHECK_OK (moved.send (p.to_client, "hello"));
    CHECK (expect (p.client, zlink::event::data).text () == "hello");
    CHECK_OK (moved.close ());
    CHECK (!CHECK_FAILS (moved.close (), ENOTSOCK).empty ());
    zlink::message message;
    zlink::batch batch (2);
    CHECK_FAILS (moved.receive (message), ENOTSOCK);
    CHECK_FAILS (moved.receive (batch), ENOTSOCK);
    CHECK_FAILS (moved.bind ("tcp://127.0.0.1:*"), ENOTSOCK);
    CHECK_FAILS (moved.stats (), ENOTSOCK);
    CHECK_OK (monitor.close ());
    CHECK_FAILS (monitor.close (), ENOTSOCK);
    CHECK_FAILS (monitor.receive (), ENOTSOCK);
}

/* A context whose variable goes first ends with its last socket. */
static void context_is_held ()
{
    auto context = std::make_unique<zlink::context> (CHECK_OK (zlink::context::open ()));
    zlink::socket server = open_socket (*context);
    zlink::context moved = std::move (*context);
    CHECK_FAILS (zlink::socket::open (*context), EFAULT);
    context.reset ();
    moved = CHECK_OK (zlink::context::open ());
    CHECK_OK (server.bind ("tcp://127.0.0.1:*"));
    server = open_socket (moved); /* ends the first one */
    CHECK_OK (server.bind ("tcp://127.0.0.1:*"));
}

static std::atomic<int> destroyed;

struct counted_bytes
{
    std::vector<char> kept;
    bool counts = true;
    explicit counted_bytes (std::size_t size) : kept (size, 'b') {}
    counted_bytes (counted_bytes &&other) noexcept : kept (std::move (other.kept)) { other.counts = false; }
    ~counted_bytes () { destroyed += counts; }
    const char *data () const { return kept.data (); }
    std::size_t size () const { return kept.size (); }
};

static void wait_until_destroyed (int count)
{
    while (destroyed < count)
        std::this_thread::sleep_for (std::chrono::milliseconds (1));
    CHECK (destroyed == count);
}

static void freed_once ()
{
    destroyed = 0;
    {
        zlink::message one = CHECK_OK (zlink::message::adopt (counted_bytes (100000)));
        zlink::message shared = CHECK_OK (one.share ());
        zlink::message moved = std::move (one);
        CHECK (one.size () == 0 && moved.size () == 100000 && shared.size () == 100000);
        moved = std::move (shared);
        CHECK (destroyed == 0 && moved.body ()[99999] == 'b');
    }
    CHECK (destroyed == 1);
    pair p;
    zlink::message sent = CHECK_OK (zlink::message::adopt (counted_bytes (100000)));
    CHECK_OK (sent.set_peer (p.to_client));
    CHECK_OK (p.server.send (sent));
    CHECK (sent.size () == 0 && expect (p.client, zlink::event::data).size () == 100000);
    wait_until_destroyed (2);
    zlink::batch batch (4);
    CHECK_OK (batch.add (CHECK_OK (zlink::message::adopt (counted_bytes (1000)))));
    zlink::batch moved = std::move (batch);
    CHECK (batch.empty () && batch.capacity () == 0 && moved.size () == 1);
    CHECK_FAILS (batch.add (p.to_client, "x"), ENOBUFS);
    moved.clear ();
    CHECK (destroyed == 3 && moved.empty ());
}

struct player
{
    int score = 0;
    ~player () { destroyed++; }
};

static void peer_data ()
{
    destroyed = 0;
    pair p;
    CHECK_OK (p.server.set_peer_data (p.to_client, std::make_unique<player> ()));
    for (int i = 1; i <= 3; i++) {
        CHECK_OK (p.client.send (p.to_server, "point"));
        zlink::message got = expect (p.server, zlink::event::data);
        CHECK (++got.peer_data<player> ()->score == i);
    }
    CHECK_FAILS (p.server.set_peer_data (99999, std::make_unique<player> ()), EHOSTUNREACH);
    CHECK (destroyed == 1); /* the one that was not taken */
    CHECK_OK (p.client.close ());
    {
        zlink::message ended = expect (p.server, zlink::event::disconnected);
        CHECK (ended.peer_data<player> ()->score == 3 && destroyed == 1);
    }
    wait_until_destroyed (2);
}

/* -------------------------------------------------------------------- rest */

/* Every option that can be read has the size of its type, and keeps what is set. */
template <class T>
static void has_size (zlink::socket &socket, zlink::option<T> option, std::size_t size)
{
    char value[65536];
    std::size_t found = sizeof value;
    if (zlink_getsockopt (socket.handle (), option.number, value, &found) != 0)
        CHECK (zlink_errno () == 0);
    CHECK (found == size);
    CHECK_OK (socket.get (option));
}

template <class... T>
static void have_size (zlink::socket &socket, std::size_t size, T... option)
{
    (has_size (socket, option, size), ...);
}

static void typed_options ()
{
    zlink::context context = CHECK_OK (zlink::context::open ());
    zlink::socket socket = open_socket (context);
    using namespace zlink::options;
    have_size (socket, sizeof (int), sndbuf, rcvbuf, fd, events, type, linger, backlog, reconnect_ivl, reconnect_ivl_max,
               sndhwm, rcvhwm, rcvtimeo, sndtimeo, tcp_keepalive, tcp_keepalive_cnt, tcp_keepalive_idle,
               tcp_keepalive_intvl, immediate, ipv6, tos, use_fd, handshake_ivl, connect_timeout, heartbeat_ivl,
               heartbeat_ttl, heartbeat_timeout, tcp_maxrt, tls_verify, tls_require_client_cert, tls_trust_system,
               tls_min_version, mode, close_timeout, header_max, profile, send_bytes, full_policy, recv_bytes,
               rate_messages, rate_bytes, rate_policy, idle_timeout, first_message_timeout, max_age, max_connections,
               address_connections, address_prefix4, address_prefix6, accept_rate, address_accept_rate, handshakes,
               property_bytes, framing, ws_deflate, reuseport, accept_timeout, options::peer_data);
    have_size (socket, sizeof (std::int64_t), affinity, maxmsgsize, send_bytes_total, recv_bytes_total);
    for (auto text : {bindtodevice, tls_cert, tls_key, tls_ca, tls_hostname, tls_password, tls_ciphers, tls_alpn,
                      tls_ticket_keys, tls_ocsp, tls_certs, allow, deny, properties, proxy_from, ws_protocols, ws_origins,
                      ws_health_path, ws_paths})
        CHECK (CHECK_OK (socket.get (text)).empty ());
    CHECK_OK (socket.set (ws_paths, "/a, /b"));
    CHECK_OK (socket.set (maxmsgsize, 1 << 20));
    CHECK_OK (socket.set (routing_id, "name"));
    CHECK (CHECK_OK (socket.get (ws_paths)) == "/a, /b" && CHECK_OK (socket.get (maxmsgsize)) == 1 << 20);
    CHECK (CHECK_OK (socket.get (routing_id)) == "name" && CHECK_OK (socket.get (mode)) == ZLINK_STREAM_MODE_FAST);
    CHECK_OK (context.set (ZLINK_IO_THREADS, 3));
    CHECK (CHECK_OK (context.get (ZLINK_IO_THREADS)) == 3);
    CHECK_FAILS (context.set (ZLINK_IO_THREADS, -7), EINVAL);
}

/* What the library's types would cut is refused: texts behind a NUL, and numbers. */
static void not_cut ()
{
    pair p;
    using namespace zlink::options;
    const std::string room ("room\0x", 6);
    CHECK (CHECK_FAILS (p.server.join (p.to_client, room), EINVAL) == "the text has a NUL in it");
    CHECK_FAILS (p.server.leave (p.to_client, room), EINVAL);
    CHECK_OK (p.server.join (p.to_client, "room"));
    zlink::message kept = CHECK_OK (zlink::message::copy ("kept"));
    CHECK_FAILS (p.server.publish (room, kept), EINVAL);
    CHECK_FAILS (p.server.publish_key (room, 1, kept), EINVAL);
    CHECK (kept.text () == "kept" && !kept.property (room));
    CHECK_FAILS (p.server.bind (std::string ("tcp://127.0.0.1:*\0", 18)), EINVAL);
    CHECK_FAILS (p.server.connect (std::string ("tcp://127.0.0.1:1\0", 18)), EINVAL);
    CHECK_FAILS (p.server.unbind (CHECK_OK (p.server.last_endpoint ()) + '\0'), EINVAL);
    CHECK_FAILS (p.client.disconnect (CHECK_OK (p.server.last_endpoint ()) + '\0'), EINVAL);
    CHECK_FAILS (p.server.peer_property (p.to_client, std::string ("Transport\0", 10)), EINVAL);
    CHECK_FAILS (p.server.close_peer (p.to_client, 1000, room), EINVAL);
    CHECK (CHECK_FAILS (p.server.accept_peer (p.to_client, room), EINVAL) == "the text has a NUL in it");
    CHECK (CHECK_FAILS (p.server.refuse_peer (p.to_client, 0, room), EINVAL) == "the text has a NUL in it");
    CHECK_OK (p.server.set (routing_id, std::string_view ("\0a\0\0", 4)));
    CHECK (CHECK_OK (p.server.get (routing_id)).size () == 4);

    const long long beyond = 1LL << 32;
    CHECK (CHECK_FAILS (p.server.set (sndhwm, beyond + 7), EINVAL) == "the option takes no number of that size");
    CHECK_FAILS (p.server.set (sndhwm, 3000000000u), EINVAL);
    CHECK_FAILS (p.server.set (linger, -beyond), EINVAL);
    CHECK_FAILS (p.server.set (maxmsgsize, UINT64_MAX), EINVAL);
    CHECK_FAILS (p.server.set (affinity, -1), EINVAL);
    CHECK_FAILS (p.context.set (ZLINK_MAX_SOCKETS, beyond + 7), EINVAL);
    CHECK_OK (p.server.set (sndhwm, 7LL));
    CHECK_OK (p.server.set (maxmsgsize, beyond));
    CHECK (CHECK_OK (p.server.get (sndhwm)) == 7 && CHECK_OK (p.server.get (maxmsgsize)) == beyond);
    CHECK_FAILS (p.context.get (12345), EINVAL);
    CHECK (CHECK_OK (p.context.get (ZLINK_THREAD_NAME_PREFIX)) == -1); /* nobody has set it */
    CHECK (zlink::batch (SIZE_MAX).capacity () == 0);
}

static void groups ()
{
    pair p;
    zlink::socket other = open_socket (p.context);
    CHECK_OK (other.connect (CHECK_OK (p.server.last_endpoint ())));
    zlink::peer_id to_other = expect (p.server, zlink::event::connected).peer ();
    expect (other, zlink::event::connected);
    CHECK_OK (p.server.join (p.to_client, "room"));
    CHECK_OK (p.server.join (to_other, std::string ("room")));
    CHECK (CHECK_OK (p.server.publish ("room", CHECK_OK (zlink::message::copy ("all")))) == 2);
    CHECK (CHECK_OK (p.server.publish ("room", CHECK_OK (zlink::message::copy (to_other, "but one")), true)) == 1);
    CHECK_OK (p.server.leave (to_other, "room"));
    zlink::message state = CHECK_OK (zlink::message::copy ("state"));
    CHECK (CHECK_OK (p.server.publish_key ("room", 7, state)) == 1 && state.size () == 0);
    CHECK (CHECK_OK (p.server.publish ("nobody's", CHECK_OK (zlink::message::copy ("?")))) == 0);
    const zlink::peer_id peers[] = {to_other, 99999};
    int errors[2];
    zlink::message listed = CHECK_OK (zlink::message::copy ("list"));
    CHECK (CHECK_OK (p.server.multicast (peers, 2, listed, errors)) == 1);
    CHECK (errors[0] == 0 && errors[1] == EHOSTUNREACH);
    zlink::message keyed = CHECK_OK (zlink::message::copy (to_other, "keyed"));
    CHECK_OK (p.server.send_key (keyed, 7));
    zlink::message by_id = CHECK_OK (zlink::message::copy (p.to_client, "by its id"));
    CHECK_OK (zlink::socket::send_any (by_id));
    by_id = CHECK_OK (zlink::message::copy (p.to_client ^ 1u << 31, "nobody"));
    CHECK_FAILS (zlink::socket::try_send_any (by_id), EHOSTUNREACH);
    for (const char *text : {"all", "but one", "state", "by its id"})
        CHECK (expect (p.client, zlink::event::data).text () == text);
    for (const char *text : {"all", "list", "keyed"})
        CHECK (expect (other, zlink::event::data).text () == text);
}

static void monitors ()
{
    pair p;
    zlink::monitor monitor = CHECK_OK (p.server.monitor (ZLINK_EVENT_DISCONNECTED));
    CHECK_FAILS (monitor.try_receive (), EAGAIN);
    CHECK_OK (p.server.abort_peer (p.to_client));
    zlink::monitor_event event = CHECK_OK (monitor.receive ());
    CHECK (event.event == ZLINK_EVENT_DISCONNECTED && event.peer == p.to_client);
    CHECK (event.reason == zlink::reason::aborted_here && event.remote.find ("tcp://127.0.0.1:") == 0);
    CHECK_OK (p.server.close ());
    CHECK (CHECK_OK (monitor.receive ()).event == ZLINK_EVENT_MONITOR_STOPPED);
}

static void log ()
{
    static std::mutex mutex;
    static std::string lines;
    auto told = [] (const char *text) {
        std::lock_guard<std::mutex> lock (mutex);
        return lines.find (text) != std::string::npos;
    };
    auto held = std::make_shared<int> (0);
    CHECK_FAILS (zlink::set_log (ZLINK_LOG_DEBUG + 1, [] (int, std::string_view) {}), EINVAL);
    CHECK_OK (zlink::set_log (ZLINK_LOG_INFO, [held] (int level, std::string_view line) {
        CHECK_FAILS (zlink::set_log (ZLINK_LOG_NONE, nullptr), EFSM);
        std::lock_guard<std::mutex> lock (mutex);
        lines.append (std::to_string (level)).append (" ").append (line).append ("\n");
        ++*held;
    }));
    {
        pair p;
        while (!told ("3 listening local=tcp://127.0.0.1:") || !told ("3 connected local=tcp://127.0.0.1:"))
            std::this_thread::yield ();
        zlink::context other = CHECK_OK (zlink::context::open ());
        zlink::socket second = open_socket (other);
        CHECK_FAILS (second.bind (CHECK_OK (p.server.last_endpoint ())), EADDRINUSE);
        while (!told ("1 binding failed local=tcp://127.0.0.1:"))
            std::this_thread::yield ();
    }
    CHECK (held.use_count () == 2);
    CHECK_OK (zlink::set_log (ZLINK_LOG_INFO, nullptr));
    CHECK (held.use_count () == 1 && *held >= 3); /* it is over, and gone */
    int count = *held;
    pair p;
    CHECK (*held == count);
    CHECK_OK (zlink::set_log (ZLINK_LOG_DEBUG, [] (int, std::string_view) {})); /* to the end */
}

static void asking_and_draining ()
{
    zlink::context context = CHECK_OK (zlink::context::open ());
    zlink::socket server = open_socket (context), client = open_socket (context), other = open_socket (context);
    CHECK_OK (server.set (options::accept_timeout, 30000));
    CHECK_OK (other.set (options::reconnect_ivl, -1));
    CHECK_OK (server.bind ("ws://127.0.0.1:*"));
    CHECK_OK (client.connect (CHECK_OK (server.last_endpoint ())));
    zlink::peer_id asks = expect (server, zlink::event::asking).peer ();
    CHECK_OK (server.accept_peer (asks));
    CHECK_FAILS (server.refuse_peer (asks), EFSM);
    CHECK (expect (server, zlink::event::connected).peer () == asks);
    CHECK_OK (other.connect (CHECK_OK (server.last_endpoint ())));
    CHECK_OK (server.refuse_peer (expect (server, zlink::event::asking).peer (), 401, "who are you?"));
    CHECK (expect (server, zlink::event::disconnected).reason () == zlink::reason::refused);
    expect (client, zlink::event::connected);
    CHECK_OK (server.drain (0, 1012));
    CHECK (expect (client, zlink::event::disconnected).close_code () == 1012);
    CHECK (expect (server, zlink::event::disconnected).reason () == zlink::reason::drained);
    CHECK (expect (server, zlink::event::drained).peer () == 0);
    CHECK_FAILS (server.bind ("tcp://127.0.0.1:*"), EFSM);
}

/* Three threads send while one receives; the context's end ends it. */
static void threads ()
{
    enum
    {
        senders = 3,
        each = 2000
    };
    pair p;
    std::thread sending[senders];
    for (int n = 0; n < senders; n++)
        sending[n] = std::thread ([&p, n] {
            for (int i = 0; i < each; i++) {
                int body[2] = {n, i};
                CHECK_OK (p.server.send (p.to_client, zlink::bytes (body, sizeof body)));
            }
        });
    std::thread server_receives ([&p] {
        zlink::message message;
        CHECK_FAILS (p.server.receive (message), ETERM);
    });
    int next[senders] = {};
    zlink::batch batch (64);
    for (int count = 0; count < senders * each;) {
        count += static_cast<int> (CHECK_OK (p.client.receive (batch)));
        for (zlink::message &got : batch) {
            int body[2];
            CHECK (got.size () == sizeof body);
            std::memcpy (body, got.data (), sizeof body);
            CHECK (body[1] == next[body[0]]++); /* one thread's messages keep their order */
        }
    }
    for (std::thread &thread : sending)
        thread.join ();
    CHECK_OK (p.context.shutdown ());
    server_receives.join ();
    CHECK_FAILS (p.server.send (p.to_client, "late"), ETERM);
}

static const test_case cases[] = {
  {"tcp", tcp},
  {"ws", ws},
  {"tls", tls},
  {"wss", wss},
  {"errors", errors},
  {"refused", refused},
  {"no_value", no_value},
  {"closed_once", closed_once},
  {"context_is_held", context_is_held},
  {"freed_once", freed_once},
  {"peer_data", peer_data},
  {"typed_options", typed_options},
  {"not_cut", not_cut},
  {"groups", groups},
  {"monitors", monitors},
  {"log", log},
  {"asking_and_draining", asking_and_draining},
  {"threads", threads},
};

int main (int argc, char **argv)
{
    for (const test_case &one : cases) {
        bool wanted = argc == 1;
        for (int i = 1; i < argc; i++)
            wanted = wanted || std::strcmp (argv[i], one.name) == 0;
        if (!wanted)
            continue;
        alarm (60); /* ends what hangs */
        auto start = std::chrono::steady_clock::now ();
        one.run ();
        auto took = std::chrono::duration_cast<std::chrono::milliseconds> (std::chrono::steady_clock::now () - start);
        if (!left_out)
            std::printf ("ok %s (%d ms)\n", one.name, static_cast<int> (took.count ()));
        left_out = false;
        std::fflush (stdout);
    }
}
