/* SPDX-License-Identifier: MPL-2.0 */
/* A host in C++, as host.c: destructors that end contexts, and exceptions that
 * pass calls of the library. */
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

#include <zlink.h>

namespace
{
/* A context with one bound socket, for as long as the object lives. */
class Server
{
  public:
    Server () : _context (zlink_ctx_new ()), _socket (zlink_socket (_context, ZLINK_STREAM))
    {
        if (zlink_bind (_socket, "tcp://127.0.0.1:*") != 0)
            std::_Exit (99);
    }
    ~Server ()
    {
        /* _Exit, because a destructor has no other way to tell. */
        if (zlink_close (_socket) != 0 || zlink_ctx_term (_context) != 0)
            std::_Exit (98);
    }
    Server (const Server &) = delete;
    Server &operator= (const Server &) = delete;
    void *socket () const { return _socket; }

  private:
    void *_context;
    void *_socket;
};

/* Ends the wait of a thread, and then that thread. */
class Waiter
{
  public:
    ~Waiter ()
    {
        if (!_context)
            return;
        if (zlink_ctx_term (_context) != 0)
            std::_Exit (98);
        _thread.join ();
    }
    void start ()
    {
        _context = zlink_ctx_new ();
        void *socket = zlink_socket (_context, ZLINK_STREAM);
        _thread = std::thread ([socket] {
            char buf[8];
            if (zlink_recv (socket, buf, sizeof buf, 0) != -1 || errno != ETERM)
                std::_Exit (97);
            zlink_close (socket);
        });
        std::this_thread::sleep_for (std::chrono::milliseconds (20));
    }

  private:
    void *_context = nullptr;
    std::thread _thread;
};

Waiter waiter;

Server &global ()
{
    static Server server;
    return server;
}

int use_global ()
{
    char buf[8];
    waiter.start ();
    return zlink_recv (global ().socket (), buf, sizeof buf, ZLINK_DONTWAIT) == -1 ? 31 : 1;
}

int exit_with_statics ()
{
    use_global ();
    std::exit (32);
}

int exit_of_a_thread ()
{
    use_global ();
    std::thread ([] { std::exit (33); }).join ();
    return 1;
}

int use_thread_local ()
{
    for (int i = 0; i < 20; i++)
        std::thread ([] {
            thread_local Server server;
            char buf[8];
            zlink_recv (server.socket (), buf, sizeof buf, ZLINK_DONTWAIT);
        }).join ();
    return 0;
}

struct Failure : std::runtime_error
{
    explicit Failure (int n) : std::runtime_error ("failure"), number (n) {}
    int number;
};

void fail_after_calls (int depth)
{
    Server server;
    char buf[8];
    if (depth > 0)
        fail_after_calls (depth - 1);
    zlink_recv (server.socket (), buf, sizeof buf, ZLINK_DONTWAIT);
    throw Failure (errno);
}

void throw_from_timer (int id, void *count)
{
    ++*static_cast<int *> (count);
    throw Failure (id);
}

/* An exception leaves zlink_timers_execute as if that were C++; the set goes
 * on, and no lock is left behind. */
int throw_through_timers ()
{
    void *timers = zlink_timers_new ();
    int count = 0;
    int id = zlink_timers_add (timers, 0, throw_from_timer, &count);
    for (int i = 0; i < 5; i++) {
        try {
            zlink_timers_execute (timers);
            return 1;
        } catch (const Failure &failure) {
            if (failure.number != id || count != i + 1)
                return 1;
        }
    }
    return zlink_timers_cancel (timers, id) == 0 && zlink_timers_destroy (&timers) == 0 ? 0 : 1;
}

int use_exceptions ()
{
    for (int i = 0; i < 3; i++) {
        try {
            fail_after_calls (3);
            return 1;
        } catch (const Failure &failure) {
            if (failure.number != EAGAIN)
                return 1;
        }
    }
    return throw_through_timers ();
}

void catch_in_thread (void *caught)
{
    try {
        fail_after_calls (0);
    } catch (const Failure &) {
        *static_cast<std::atomic<bool> *> (caught) = true;
    }
}

int exceptions_in_threads ()
{
    std::atomic<bool> caught (false);
    zlink_threadclose (zlink_threadstart (catch_in_thread, &caught));
    return caught ? 0 : 1;
}

void throw_out_of_thread (void *)
{
    throw Failure (1);
}

int uncaught_in_thread ()
{
    zlink_threadclose (zlink_threadstart (throw_out_of_thread, nullptr));
    return 1;
}

int uncaught ()
{
    Server server;
    fail_after_calls (1);
    return 1;
}

const struct
{
    const char *name;
    int (*run) ();
} habits[] = {
  {"return", use_global},
  {"exit", exit_with_statics},
  {"exit-thread", exit_of_a_thread},
  {"thread-local", use_thread_local},
  {"exceptions", use_exceptions},
  {"thread-exceptions", exceptions_in_threads},
  {"uncaught", uncaught},
  {"uncaught-thread", uncaught_in_thread},
};
}

int main (int argc, char **argv)
{
    for (const auto &habit : habits)
        if (argc == 2 && std::strcmp (argv[1], habit.name) == 0)
            return habit.run ();
    return 2;
}
