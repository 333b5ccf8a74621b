/* SPDX-License-Identifier: MPL-2.0 */
/* No call is a cancellation point: a thread whose cancellation is pending goes
 * through its calls, and leaves nothing locked behind. */
#include "ztest.h"

enum
{
    SENDS = 50
};

static void *server;
static zlink_routing_id_t peer;
static atomic_bool through;

static void *first_call (void *ctx)
{
    pthread_cancel (pthread_self ()); /* pending from here on */
    *(void **) ctx = zlink_ctx_new ();
    atomic_store (&through, true);
    pthread_testcancel ();
    return NULL;
}

/* The first call starts Go, and tries whether there are threads for it. */
static void a_first_call (void)
{
    void *ctx = NULL;
    zt_join (zt_thread (first_call, &ctx));
    CHECK (atomic_load (&through) && ctx);
    zt_term (ctx);
}

/* Between the sends the io thread goes to sleep, so that they have to wake it. */
static void *send_some (void *unused)
{
    (void) unused;
    for (int i = 0; i < SENDS; i++) {
        zt_send (server, &peer, "early", 5);
        zt_pause_ms (2);
    }
    int ignored;
    pthread_cancel (pthread_self ());
    for (int i = 0; i < SENDS; i++) {
        pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &ignored);
        zt_pause_ms (2);
        pthread_setcancelstate (PTHREAD_CANCEL_ENABLE, &ignored);
        zt_send (server, &peer, "later", 5);
    }
    atomic_store (&through, true);
    pthread_testcancel ();
    return NULL;
}

static void sends_that_wake (void)
{
    void *ctx = zt_ctx ();
    server = zt_socket (ctx);
    int port = zt_bind (server);
    void *client = zt_socket (ctx);
    zt_connect (client, port);
    zt_expect_connect (server, &peer);
    zt_join (zt_thread (send_some, NULL));
    CHECK (atomic_load (&through));
    zt_send (server, &peer, "again", 5); /* the session's lock is free */
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

static void *sleep_once (void *unused)
{
    (void) unused;
    pthread_cancel (pthread_self ());
    zlink_sleep (1);
    atomic_store (&through, true);
    pthread_testcancel ();
    return NULL;
}

static void a_sleep (void)
{
    atomic_store (&through, false);
    zt_join (zt_thread (sleep_once, NULL));
    CHECK (atomic_load (&through));
}

static atomic_bool returned;

static void return_later (void *unused)
{
    (void) unused;
    zt_pause_ms (50);
    atomic_store (&returned, true);
}

/* Whoever cancels the thread that waits must not leave the other one unjoined. */
static void *close_a_thread (void *unused)
{
    (void) unused;
    void *thread = zlink_threadstart (return_later, NULL);
    CHECK (thread);
    pthread_cancel (pthread_self ());
    zlink_threadclose (thread);
    atomic_store (&through, atomic_load (&returned));
    pthread_testcancel ();
    return NULL;
}

static void a_wait_for_a_thread (void)
{
    atomic_store (&through, false);
    zt_join (zt_thread (close_a_thread, NULL));
    CHECK (atomic_load (&through));
}

static const zt_case_t cases[] = {
  ZT_CASE (a_first_call),
  ZT_CASE (sends_that_wake),
  ZT_CASE (a_sleep),
  ZT_CASE (a_wait_for_a_thread),
};

ZT_MAIN (cases)
