/* SPDX-License-Identifier: MPL-2.0 */
/* The checks of the binding's tests, and two ends of a connection. A failed check ends the process. */
#ifndef CHECK_HPP_INCLUDED
#define CHECK_HPP_INCLUDED

#include <zlink.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#define CHECK(condition) check ((condition), __FILE__, __LINE__, #condition)
#define CHECK_OK(result) check_ok ((result), __FILE__, __LINE__, #result)
#define CHECK_FAILS(result, code) check_fails ((result), (code), __FILE__, __LINE__, #result)

inline void check (bool ok, const char *file, int line, const char *what)
{
    if (ok)
        return;
    std::fprintf (stderr, "%s:%d: failed: %s\n", file, line, what);
    std::exit (1);
}

template <class T>
T check_ok (zlink::result<T> result, const char *file, int line, const char *what)
{
    if (!result)
        std::fprintf (stderr, "found %s\n", result.error ().text ().c_str ());
    check (result.ok (), file, line, what);
    if constexpr (!std::is_void_v<T>)
        return std::move (result).value ();
}

/* Returns the sentence. */
template <class T>
std::string check_fails (const zlink::result<T> &result, int code, const char *file, int line, const char *what)
{
    check (!result.ok (), file, line, what);
    if (result.error ().code () != code)
        std::fprintf (stderr, "found %s\n", result.error ().text ().c_str ());
    check (result.error ().code () == code, file, line, what);
    return result.error ().detail ();
}

struct test_case
{
    const char *name;
    void (*run) ();
};

inline bool left_out; /* the case that runs */

inline void skip (const char *name, const char *why)
{
    std::printf ("skipped %s: %s\n", name, why);
    left_out = true;
}

inline zlink::socket open_socket (const zlink::context &context)
{
    zlink::socket made = CHECK_OK (zlink::socket::open (context));
    CHECK_OK (made.set (zlink::options::rcvtimeo, 30000));
    CHECK_OK (made.set (zlink::options::linger, 1000));
    return made;
}

/* The next message of this kind. */
inline zlink::message expect (zlink::socket &from, zlink::event event)
{
    zlink::message got;
    CHECK_OK (from.receive (got));
    CHECK (got.event () == event);
    return got;
}

/* A server and its client, and what each calls the other. */
struct pair
{
    explicit pair (const char *transport = "tcp")
        : context (CHECK_OK (zlink::context::open ())), server (open_socket (context)), client (open_socket (context))
    {
        if (std::strcmp (transport, "tls") == 0 || std::strcmp (transport, "wss") == 0) {
            CHECK_OK (server.set (zlink::options::tls_cert, std::getenv ("TLS_CERT")));
            CHECK_OK (server.set (zlink::options::tls_key, std::getenv ("TLS_KEY")));
            CHECK_OK (client.set (zlink::options::tls_ca, std::getenv ("TLS_CERT")));
        }
        CHECK_OK (server.set (zlink::options::peer_data, 1));
        CHECK_OK (server.bind (std::string (transport) + "://127.0.0.1:*"));
        CHECK_OK (client.connect (CHECK_OK (server.last_endpoint ())));
        to_server = expect (client, zlink::event::connected).peer ();
        to_client = expect (server, zlink::event::connected).peer ();
    }

    zlink::context context;
    zlink::socket server, client;
    zlink::peer_id to_server = 0, to_client = 0;
};

#endif
