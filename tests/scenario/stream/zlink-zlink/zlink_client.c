/* SPDX-License-Identifier: MPL-2.0 */
/* A load client made of zlink sockets: one STREAM socket for each connection,
 * all in one thread and one zlink_poll. Scenarios, checks and output are those
 * of stream_client. Exit code: 0 passed, 1 failed, 2 wrong use. */
#include "counted.h"
#include "options.h"
#include "process.h"
#include "report.h"
#include "run.h"

#include <zlink.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ID 255
#define ID_SIZE 4
#define SPARE_SOCKETS 16
#define EVENT_CONNECTED 1
/* Beyond the run's own deadline, for a call into the library that hangs. */
#define ALARM_GRACE_S 15

struct client
{
    struct run *run;
    void *context;
    void **sockets;        /* by connection; NULL: closed */
    uint8_t (*ids)[ID_SIZE]; /* the peer of each, once it is connected */
    char endpoint[128];
    uint8_t *in, *out; /* one body each; in has a byte more, to see excess */
    bool counts;       /* echoes are counted, and out is always the same */

    /* The open sockets without gaps, in no order. */
    zlink_pollitem_t *items;
    uint32_t *owners;    /* by item: its connection */
    uint32_t *positions; /* by connection: its item */
    int item_count;
};

static void close_one (void *state, uint32_t index)
{
    struct client *client = state;
    if (!client->sockets[index])
        return;
    zlink_close (client->sockets[index]);
    client->sockets[index] = NULL;
    uint32_t hole = client->positions[index];
    uint32_t last = (uint32_t) --client->item_count;
    client->items[hole] = client->items[last];
    client->owners[hole] = client->owners[last];
    client->positions[client->owners[hole]] = hole;
}

static void lose (struct client *client, uint32_t index, int error)
{
    bool connecting = client->run->links[index].state == LINK_CONNECTING;
    close_one (client, index);
    if (connecting)
        run_connect_failed (client->run, index, error);
    else
        run_lost (client->run, index, error);
}

/* --------------------------------------------------------------- connecting */

static int set_option (void *socket, int option, long value)
{
    int number = (int) value;
    return zlink_setsockopt (socket, option, &number, sizeof number);
}

/* The server's certificate has to verify against this file. */
static int set_ca (void *socket, const char *file)
{
    return file
             ? zlink_setsockopt (socket, ZLINK_TLS_CA, file, strlen (file))
             : 0;
}

static int set_options (void *socket, const struct options *options)
{
    bool ok =
      set_option (socket, ZLINK_SNDHWM, options->hwm) == 0
      && set_option (socket, ZLINK_RCVHWM, options->hwm) == 0
      && set_option (socket, ZLINK_SNDBUF, options->sndbuf) == 0
      && set_option (socket, ZLINK_RCVBUF, options->rcvbuf) == 0
      && set_option (socket, ZLINK_LINGER, 0) == 0
      && set_ca (socket, options->tls_ca) == 0
      /* A lost connection is a finding here, not to be healed. */
      && set_option (socket, ZLINK_RECONNECT_IVL, -1) == 0
      /* A send that waits this long means that nothing moves any more. */
      && set_option (socket, ZLINK_SNDTIMEO,
                     (long) (options->drain_timeout * 1000))
           == 0;
    return ok ? 0 : -1;
}

static int start_connect (void *state, uint32_t index)
{
    struct client *client = state;
    void *socket = zlink_socket (client->context, ZLINK_STREAM);
    if (!socket)
        return zlink_errno ();
    if (set_options (socket, client->run->options) != 0
        || zlink_connect (socket, client->endpoint) != 0) {
        int error = zlink_errno ();
        zlink_close (socket);
        return error;
    }
    uint32_t position = (uint32_t) client->item_count++;
    client->sockets[index] = socket;
    client->positions[index] = position;
    client->owners[position] = index;
    client->items[position] =
      (zlink_pollitem_t) {.socket = socket, .events = ZLINK_POLLIN};
    return 0;
}

/* ------------------------------------------------------------------ traffic */

static bool send_body (struct client *client, uint32_t index, size_t size)
{
    void *socket = client->sockets[index];
    if (zlink_send (socket, client->ids[index], ID_SIZE, ZLINK_SNDMORE) >= 0
        && zlink_send (socket, client->out, size, 0) >= 0)
        return true;
    lose (client, index, zlink_errno ());
    return false;
}

static void fill_window (struct client *client, uint32_t index, uint64_t now)
{
    struct traffic *traffic = &client->run->traffic;
    struct window *window = &client->run->links[index].window;
    size_t size = traffic->format.size;
    for (uint32_t room = window_room (window, traffic); room > 0; room--) {
        if (client->counts)
            counted_send (window, traffic, 1, now);
        else
            window_send (window, traffic, client->out, now);
        if (!send_body (client, index, size))
            return;
    }
    if (client->counts && counted_send_mark (window, traffic))
        send_body (client, index, COUNTED_MARK_SIZE (size));
}

static void start_sending (void *state, uint32_t index)
{
    fill_window (state, index, clock_ns ());
}

/* Takes in an echo. */
static void
take_echo (struct client *client, uint32_t index, size_t len, uint64_t now)
{
    struct traffic *traffic = &client->run->traffic;
    struct window *window = &client->run->links[index].window;
    size_t size = traffic->format.size;
    if (client->counts && len == COUNTED_MARK_SIZE (size)
        && window->mark == MARK_SENT)
        counted_recv_mark (window, traffic);
    else if (len != size)
        traffic->tally.wrong_length++;
    else if (client->counts)
        counted_recv (window, traffic, 1, now);
    else
        window_recv (window, traffic, client->in, now);
}

/* Takes in one message. False when there is none left, or no connection. */
static bool recv_one (struct client *client, uint32_t index, uint64_t now)
{
    struct run *run = client->run;
    size_t size = run->traffic.format.size;
    void *socket = client->sockets[index];
    uint8_t id[MAX_ID];
    int id_len = zlink_recv (socket, id, sizeof id, ZLINK_DONTWAIT);
    int len = id_len < 0
                ? -1
                : zlink_recv (socket, client->in, size + 1, ZLINK_DONTWAIT);
    if (len < 0) {
        if (zlink_errno () != EAGAIN && zlink_errno () != EINTR)
            lose (client, index, zlink_errno ());
        return false;
    }
    if (len == 1) {
        if (client->in[0] != EVENT_CONNECTED || id_len != ID_SIZE) {
            lose (client, index, 0);
            return false;
        }
        memcpy (client->ids[index], id, ID_SIZE);
        run_connected (run, index);
    } else
        take_echo (client, index, (size_t) len, now);
    return true;
}

static void serve (void *state, uint64_t timeout_ns)
{
    struct client *client = state;
    int ready = zlink_poll (client->items, client->item_count,
                            (long) (timeout_ns / NS_PER_MS));
    if (ready < 0 && zlink_errno () != EINTR) {
        fprintf (stderr, "zlink_poll: %s\n", zlink_strerror (zlink_errno ()));
        exit (1);
    }
    /* Backwards: closing a socket moves the last item into its place. */
    for (int i = client->item_count - 1; i >= 0 && ready > 0; i--) {
        if (!client->items[i].revents)
            continue;
        ready--;
        uint32_t index = client->owners[i];
        uint64_t now = clock_ns ();
        while (recv_one (client, index, now))
            continue;
        if (client->sockets[index])
            fill_window (client, index, now);
    }
}

/* -------------------------------------------------------------------- setup */

static int client_init (struct client *client, struct run *run)
{
    const struct options *options = run->options;
    size_t ccu = (size_t) options->ccu;
    *client = (struct client) {.run = run, .context = zlink_ctx_new ()};
    if (options->path)
        snprintf (client->endpoint, sizeof client->endpoint, "%s://%s",
                  options->transport, options->path);
    else
        snprintf (client->endpoint, sizeof client->endpoint, "%s://%s:%ld",
                  options->transport, options->host, options->port);
    client->sockets = calloc (ccu, sizeof *client->sockets);
    client->ids = calloc (ccu, sizeof *client->ids);
    client->items = calloc (ccu, sizeof *client->items);
    client->owners = calloc (ccu, sizeof *client->owners);
    client->positions = calloc (ccu, sizeof *client->positions);
    client->in = malloc ((size_t) options->size + 1);
    client->out = calloc (1, (size_t) options->size);
    client->counts = options_counts (options);
    if (!client->context || !client->sockets || !client->ids || !client->items
        || !client->owners || !client->positions || !client->in
        || !client->out
        || zlink_ctx_set (client->context, ZLINK_IO_THREADS,
                          (int) options->io_threads)
             != 0
        || zlink_ctx_set (client->context, ZLINK_MAX_SOCKETS,
                          (int) options->ccu + SPARE_SOCKETS)
             != 0)
        return -1;
    run->transport = (struct transport) {
      .state = client,
      .connect = start_connect,
      .serve = serve,
      .send = start_sending,
      .close = close_one,
    };
    return 0;
}

static void client_free (struct client *client)
{
    while (client->context && zlink_ctx_term (client->context) != 0
           && zlink_errno () == EINTR)
        continue;
    free (client->sockets);
    free (client->ids);
    free (client->items);
    free (client->owners);
    free (client->positions);
    free (client->in);
    free (client->out);
}

int main (int argc, char **argv)
{
    struct options options;
    enum settings_result settings = options_read (&options, argc, argv);
    if (settings != SETTINGS_OK)
        return settings == SETTINGS_HELP ? 0 : 2;
    if (options.silent > 0) {
        fprintf (stderr, "--silent: a client of zlink sockets has no such "
                         "connections\n");
        return 2;
    }
    process_raise_descriptor_limit ();
    alarm ((unsigned) options.deadline + ALARM_GRACE_S);

    static struct run run;
    static struct client client;
    bool passed = false;
    if (run_init (&run, &options) != 0 || client_init (&client, &run) != 0) {
        fprintf (stderr, "cannot prepare the run: %s\n",
                 zlink_strerror (zlink_errno ()));
    } else {
        run_scenario (&run);
        passed = report_run (&run);
    }
    client_free (&client);
    run_free (&run);
    return passed ? 0 : 1;
}
