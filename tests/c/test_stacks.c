/* SPDX-License-Identifier: MPL-2.0 */
/* Callers with small stacks, with stacks of their own making, and threads that
 * end while their sockets live. */
#include "ztest.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <ucontext.h>

enum
{
    SMALL_STACK = 64 << 10,
    SHORT_THREADS = 200
};

static void ignore (int id, void *arg)
{
    (void) id;
    (void) arg;
}

static void use_utilities (void)
{
    void *timers = zlink_timers_new (), *counter = zlink_atomic_counter_new ();
    CHECK (zlink_timers_add (timers, 0, ignore, NULL) > 0);
    CHECK_OK (zlink_timers_execute (timers));
    CHECK_OK (zlink_timers_destroy (&timers));
    CHECK_EQ (zlink_atomic_counter_inc (counter), 0);
    zlink_atomic_counter_destroy (&counter);
}

static void use_peers (void *s, const zlink_routing_id_t *id)
{
    zlink_peer_info_t info;
    size_t count = 1;
    CHECK_EQ (zlink_socket_peer_count (s), 1);
    CHECK_OK (zlink_socket_peer_info (s, id, &info));
    CHECK_OK (zlink_socket_peers (s, &info, &count));
}

static void use_messages (void *server, void *client, const zlink_routing_id_t *to)
{
    static const size_t sizes[] = {1, 100, 100000, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        zlink_routing_id_t id;
        zlink_msg_t msg;
        CHECK_OK (zlink_msg_init_size (&msg, sizes[i]));
        zt_fill (zlink_msg_data (&msg), sizes[i], (uint32_t) i);
        CHECK_EQ (zlink_send (client, to->data, to->size, ZLINK_SNDMORE), to->size);
        CHECK_EQ (zlink_msg_send (&msg, client, 0), sizes[i]);
        zt_recv_msg (server, &id, &msg);
        CHECK (zlink_msg_gets (&msg, "Peer-Address") != NULL);
        CHECK (zt_filled (zlink_msg_data (&msg), sizes[i], (uint32_t) i));
        CHECK_OK (zlink_msg_close (&msg));
    }
}

/* Every kind of call. */
static void *use_everything (void *arg)
{
    zlink_routing_id_t at_server, at_client;
    zlink_monitor_event_t *event = malloc (sizeof *event);
    char endpoint[64];
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx), *client = zt_socket (ctx);
    void *monitor = zlink_socket_monitor_open (client, ZLINK_EVENT_ALL);
    snprintf (endpoint, sizeof endpoint, "tcp://localhost:%d", zt_bind (server));
    CHECK_OK (zlink_connect (client, endpoint));
    zlink_pollitem_t items[2] = {{server, 0, ZLINK_POLLIN, 0},
                                 {NULL, zt_get_int (client, ZLINK_FD), ZLINK_POLLIN, 0}};
    while (!(items[0].revents & ZLINK_POLLIN))
        CHECK (zlink_poll (items, 2, -1) > 0);
    zt_expect_connect (server, &at_server);
    zt_expect_connect (client, &at_client);
    use_messages (server, client, &at_client);
    use_messages (client, server, &at_server);
    use_peers (server, &at_server);
    use_utilities ();
    CHECK_OK (zlink_monitor_recv (monitor, event, 0));
    CHECK_FAIL (zlink_connect (client, "tcp://nobody.invalid:x"), EINVAL);
    zt_close (monitor);
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
    free (event);
    return arg;
}

typedef void *thread_fn (void *);

static void run_on_stack (size_t size, thread_fn *run)
{
    pthread_attr_t attr;
    pthread_t thread;
    CHECK_OK (pthread_attr_init (&attr));
    CHECK_OK (pthread_attr_setstacksize (&attr, size));
    CHECK_OK (pthread_create (&thread, &attr, run, NULL));
    zt_join (thread);
    pthread_attr_destroy (&attr);
}

static void small_stacks (void)
{
    for (int i = 0; i < 3; i++)
        run_on_stack (SMALL_STACK, use_everything);
}

static void smallest_stacks (void)
{
    for (int i = 0; i < 3; i++)
        run_on_stack ((size_t) PTHREAD_STACK_MIN, use_everything);
}

/* ------------------------------------------------------------- coroutines */

static ucontext_t main_context, coroutine;
static void *shared_socket;
static int steps;

static void run_coroutine (void)
{
    for (;;) {
        zt_get_int (shared_socket, ZLINK_EVENTS);
        use_everything (NULL);
        steps++;
        swapcontext (&coroutine, &main_context);
    }
}

/* One thread calls on two stacks in turn. */
static void coroutines (void)
{
    void *ctx = zt_ctx (), *stack = malloc (SMALL_STACK);
    shared_socket = zt_socket (ctx);
    CHECK_OK (getcontext (&coroutine));
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = SMALL_STACK;
    makecontext (&coroutine, run_coroutine, 0);
    for (int i = 0; i < 5; i++) {
        zt_get_int (shared_socket, ZLINK_EVENTS);
        CHECK_OK (swapcontext (&main_context, &coroutine));
        CHECK_EQ (steps, i + 1);
    }
    zt_close (shared_socket);
    zt_term (ctx);
    free (stack);
}

/* ------------------------------------------------------------ short threads */

static int thread_count (void)
{
    int count = 0;
    DIR *dir = opendir ("/proc/self/task");
    for (struct dirent *entry; (entry = readdir (dir));)
        count += entry->d_name[0] != '.';
    closedir (dir);
    return count;
}

typedef struct opened_t
{
    void *ctx;
    void *socket;
    int port;
} opened_t;

static void *open_and_leave (void *arg)
{
    opened_t *opened = arg;
    opened->socket = zt_socket (opened->ctx);
    opened->port = zt_bind (opened->socket);
    zt_expect_silence (opened->socket, 0);
    return NULL;
}

/* A socket outlives the thread that made it, and that thread leaves nothing
 * behind in the library. */
static void threads_that_leave_sockets (void)
{
    static opened_t opened[SHORT_THREADS];
    void *ctx = zt_ctx ();
    int threads = 0;
    for (int i = 0; i < SHORT_THREADS; i++) {
        opened[i].ctx = ctx;
        zt_join (zt_thread (open_and_leave, &opened[i]));
        if (i == 0)
            threads = thread_count ();
    }
    /* On a busy machine Go's runtime takes some more; what is left behind would be one for each. */
    CHECK_RANGE (thread_count (), 1, threads + SHORT_THREADS / 4);
    for (int i = 0; i < SHORT_THREADS; i++) {
        zlink_routing_id_t id;
        int fd = zt_client (opened[i].port);
        zt_expect_connect (opened[i].socket, &id);
        close (fd);
        zt_close (opened[i].socket);
    }
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (small_stacks),
  ZT_CASE (smallest_stacks),
  ZT_CASE (coroutines),
  ZT_CASE (threads_that_leave_sockets),
};

ZT_MAIN (cases)
