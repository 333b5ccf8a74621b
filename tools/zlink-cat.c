/* SPDX-License-Identifier: MPL-2.0 */
/* Sends what it reads from standard input to the peers of a STREAM socket, and writes what they send to standard
 * output. doc/tools.md describes it; the manual page is made from that. */
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlink.h>

enum
{
    longest = 64 << 20, /* bytes of a line, and of standard input with --all */
    block = 64 << 10,   /* bytes of a read */
    retry_ms = 100      /* until a message that nobody could take is tried again */
};

enum
{
    exit_failed = 1,
    exit_usage = 2
};

static struct
{
    const char *endpoint;
    const char *message; /* NULL: standard input */
    const char *certificate, *key, *authorities, *name;
    const char *statistics; /* the file of their socket; NULL: none */
    long count;   /* messages to receive; 0: no limit */
    long wait_ms; /* for answers, after the input's end; -1: no limit */
    int framing;
    bool listens, stays, takes_all, text, hex, ids, reports, unverified, ipv6;
} is = {.wait_ms = -1};

static void *context, *the_socket, *monitor;

/* The peers, and those that have not taken the message yet. */
static struct peers
{
    uint32_t *ids;
    size_t n, room;
} peers, waiting;

/* What was read and is no message yet. */
static struct
{
    char *bytes;
    size_t size, room;
    bool ended;
} input;

static zlink_msg_t message; /* that waiting peers get; at most one */
static long received;
static int64_t silent_since; /* after the input's end; 0: something came, or the end was not reached */
static bool has_sent, lost, connection_ended;

/* --------------------------------------------------------------- failures */

static void complain (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

static void complain (const char *format, ...)
{
    va_list rest;
    va_start (rest, format);
    fprintf (stderr, "zlink-cat: ");
    vfprintf (stderr, format, rest);
    fputc ('\n', stderr);
    va_end (rest);
}

/* Ends the program when a call of the library has failed. */
static int must (int result, const char *what)
{
    if (result >= 0)
        return result;
    const char *detail = zlink_error_detail ();
    complain ("%s: %s%s%s", what, zlink_strerror (zlink_errno ()), *detail ? ": " : "", detail);
    exit (exit_failed);
}

static void *memory (void *old, size_t size)
{
    void *bytes = realloc (old, size);
    if (bytes)
        return bytes;
    complain ("no memory");
    exit (exit_failed);
}

/* ------------------------------------------------------------------ peers */

static void add_peer (struct peers *all, uint32_t id)
{
    if (all->n == all->room) {
        all->room = all->room ? 2 * all->room : 16;
        all->ids = memory (all->ids, all->room * sizeof *all->ids);
    }
    all->ids[all->n++] = id;
}

static void remove_peer (struct peers *all, uint32_t id)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->ids[i] == id) {
            all->ids[i] = all->ids[--all->n];
            return;
        }
}

/* ---------------------------------------------------------------- sending */

/* Sends the message to those that have not taken it; whoever is full stays in the list. */
static void send_to_waiting (void)
{
    if (waiting.n == 0)
        return;
    int *errors = memory (NULL, waiting.n * sizeof *errors);
    zlink_msg_t copy;
    memset (errors, 0, waiting.n * sizeof *errors);
    must (zlink_msg_init (&copy), "message");
    must (zlink_msg_copy (&copy, &message), "message");
    int took = zlink_stream_multicast (the_socket, waiting.ids, waiting.n, &copy, 0, errors);
    bool full = took < 0 && zlink_errno () == EAGAIN;
    if (took < 0 && !full && zlink_errno () != EHOSTUNREACH)
        must (-1, "send");
    size_t left = 0;
    for (size_t i = 0; i < waiting.n; i++)
        if (errors[i] == EAGAIN || (full && errors[i] == 0))
            waiting.ids[left++] = waiting.ids[i];
    waiting.n = left;
    zlink_msg_close (&copy);
    free (errors);
}

/* Sends bytes to all peers; those that are full get them later. */
static void send_bytes (const char *bytes, size_t size)
{
    zlink_msg_close (&message);
    must (zlink_msg_init_size (&message, size), "message");
    if (size)
        memcpy (zlink_msg_data (&message), bytes, size);
    if (is.text)
        must (zlink_msg_set (&message, ZLINK_STREAM_TEXT, 1), "text");
    for (size_t i = 0; i < peers.n; i++)
        add_peer (&waiting, peers.ids[i]);
    has_sent = true;
    send_to_waiting ();
}

static void read_input (void)
{
    if (input.size == longest) {
        complain ("%s is longer than %d MiB", is.takes_all ? "standard input" : "a line", longest >> 20);
        exit (exit_failed);
    }
    if (input.room - input.size < block) {
        input.room = input.room ? 2 * input.room : 2 * block;
        input.bytes = memory (input.bytes, input.room);
    }
    size_t most = longest - input.size < block ? longest - input.size : block;
    ssize_t n = read (STDIN_FILENO, input.bytes + input.size, most);
    if (n < 0 && errno != EINTR && errno != EAGAIN) {
        complain ("standard input: %s", strerror (errno));
        exit (exit_failed);
    }
    input.ended = n == 0;
    input.size += n > 0 ? (size_t) n : 0;
}

/* The size of the first message of the input and, in *skip, what belongs to it and is
 * not sent; -1: there is none yet. */
static ssize_t next_message (size_t *skip)
{
    *skip = 0;
    if (is.framing == ZLINK_STREAM_FRAMING_RAW)
        return input.size ? (ssize_t) input.size : -1;
    if (is.takes_all)
        return input.ended && !has_sent ? (ssize_t) input.size : -1;
    char *end = input.size ? memchr (input.bytes, '\n', input.size) : NULL;
    if (end) {
        *skip = 1;
        return end - input.bytes;
    }
    return input.ended && input.size ? (ssize_t) input.size : -1;
}

/* Sends what the input has while the peers take it. */
static void send_input (void)
{
    size_t start = 0, skip;
    ssize_t size;
    char *first = input.bytes;
    size_t all = input.size;
    while (waiting.n == 0 && peers.n && (size = next_message (&skip)) >= 0) {
        send_bytes (input.bytes, (size_t) size);
        start += (size_t) size + skip;
        input.bytes = first + start;
        input.size = all - start;
    }
    if (start)
        memmove (first, input.bytes, input.size);
    input.bytes = first;
}

/* -------------------------------------------------------------- receiving */

static void write_hex (const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf ("%02x", bytes[i]);
}

static void write_message (zlink_msg_t *msg)
{
    if (is.ids)
        printf ("%u\t", zlink_msg_routing_id (msg));
    if (is.hex)
        write_hex (zlink_msg_data (msg), zlink_msg_size (msg));
    else
        fwrite (zlink_msg_data (msg), 1, zlink_msg_size (msg), stdout);
    if (is.framing != ZLINK_STREAM_FRAMING_RAW || is.hex || is.ids)
        putchar ('\n');
    received++;
    silent_since = 0;
}

static bool is_done (void)
{
    return is.count && received >= is.count;
}

static void take (zlink_msg_t *msg)
{
    uint32_t peer = zlink_msg_routing_id (msg);
    switch (zlink_msg_get (msg, ZLINK_STREAM_EVENT)) {
        case ZLINK_STREAM_CONNECTED:
            add_peer (&peers, peer);
            break;
        case ZLINK_STREAM_DISCONNECTED:
            remove_peer (&peers, peer);
            remove_peer (&waiting, peer);
            lost = true;
            break;
        case ZLINK_STREAM_WRITABLE:
            send_to_waiting ();
            break;
        case ZLINK_STREAM_DATA:
            write_message (msg);
            break;
    }
}

/* Takes what has come, and shows it at once. */
static void receive (void)
{
    zlink_msg_t msg;
    must (zlink_msg_init (&msg), "message");
    while (!is_done () && zlink_msg_recv (&msg, the_socket, ZLINK_DONTWAIT) >= 0)
        take (&msg);
    if (!is_done () && zlink_errno () != EAGAIN && zlink_errno () != EINTR)
        must (-1, "receive");
    zlink_msg_close (&msg);
    if (fflush (stdout) != 0) {
        complain ("standard output: %s", strerror (errno));
        exit (exit_failed);
    }
}

/* ----------------------------------------------------------------- events */

/* What a monitor tells. A dialled connection that does not come, or ends otherwise than by
 * the peer's closing it, is a failure unless it is dialled again. */
static void take_event (const zlink_monitor_event_t *e)
{
    char detail[512];
    snprintf (detail, sizeof detail, "%s", zlink_error_detail ());
    bool only = !is.listens && !is.stays;
    switch (e->event) {
        case ZLINK_EVENT_CONNECTION_READY:
            if (is.reports)
                complain ("%s came%s%s", e->remote_addr, *detail ? ": " : "", detail);
            break;
        case ZLINK_EVENT_CONNECT_RETRIED: /* also when no address was found */
            if (only && !connection_ended) {
                complain ("%s: no connection", is.endpoint);
                exit (exit_failed);
            }
            break;
        case ZLINK_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        case ZLINK_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        case ZLINK_EVENT_HANDSHAKE_FAILED_AUTH:
            if (only || is.reports)
                complain ("%s: %s", e->remote_addr, *detail ? detail : "the handshake failed");
            if (only)
                exit (exit_failed);
            break;
        case ZLINK_EVENT_DISCONNECTED:
            connection_ended = true;
            bool closed = zlink_monitor_reason (monitor) == ZLINK_STREAM_REASON_PEER_CLOSED;
            if (is.reports || (only && !closed))
                complain ("%s went: %s", e->remote_addr, detail);
            if (only && !closed)
                exit (exit_failed);
            break;
    }
}

static void take_events (void)
{
    zlink_monitor_event_t e;
    while (zlink_monitor_recv (monitor, &e, ZLINK_DONTWAIT) == 0)
        take_event (&e);
}

/* ------------------------------------------------------------------- loop */

/* Nothing of the input is left, and somebody has got it. */
static bool input_is_over (void)
{
    size_t skip;
    return input.ended && waiting.n == 0 && next_message (&skip) < 0;
}

/* Whether there is nothing to wait for any more. */
static bool is_over (void)
{
    if (is_done ())
        return true;
    if (!is.listens && !is.stays && lost && connection_ended)
        return true;
    return is.wait_ms == 0 && input_is_over ();
}

static int64_t now_ms (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How long zlink_poll may wait; *quiet: nothing came until then, after the input's end. Connections that come and go, as with
 * --retry, are nothing. */
static long wait_for (bool *quiet)
{
    *quiet = is.wait_ms >= 0 && input_is_over ();
    if (!*quiet) {
        silent_since = 0;
        return waiting.n ? retry_ms : -1;
    }
    int64_t now = now_ms ();
    if (!silent_since)
        silent_since = now;
    int64_t left = silent_since + is.wait_ms - now;
    return left > 0 ? left : 0;
}

static void run (void)
{
    zlink_pollitem_t items[] = {
      {.socket = the_socket, .events = ZLINK_POLLIN},
      {.socket = monitor, .events = ZLINK_POLLIN},
      {.fd = STDIN_FILENO, .events = ZLINK_POLLIN},
    };
    while (!is_over ()) {
        bool quiet, reads = !input.ended && waiting.n == 0 && peers.n;
        long limit = wait_for (&quiet);
        int ready = zlink_poll (items, reads ? 3 : 2, limit);
        if (ready < 0 && zlink_errno () != EINTR)
            must (-1, "poll");
        if (ready == 0 && quiet)
            return;
        if (reads && items[2].revents)
            read_input ();
        items[2].revents = 0;
        receive ();
        take_events ();
        send_to_waiting ();
        send_input ();
    }
}

/* --------------------------------------------------------------- start, end */

static void set_int (int option, int value, const char *what)
{
    must (zlink_setsockopt (the_socket, option, &value, sizeof value), what);
}

static void set_text (int option, const char *value, const char *what)
{
    if (value)
        must (zlink_setsockopt (the_socket, option, value, strlen (value)), what);
}

static void open_socket (void)
{
    context = zlink_ctx_new ();
    must (context ? 0 : -1, "context");
    must (zlink_ctx_set_admin (context, is.statistics), "--stats");
    the_socket = zlink_socket (context, ZLINK_STREAM);
    must (the_socket ? 0 : -1, "socket");
    set_int (ZLINK_STREAM_MODE, ZLINK_STREAM_MODE_FAST, "mode");
    set_int (ZLINK_STREAM_FRAMING, is.framing, "--framing");
    set_int (ZLINK_IPV6, is.ipv6, "-6");
    set_text (ZLINK_TLS_CERT, is.certificate, "--cert");
    set_text (ZLINK_TLS_KEY, is.key, "--key");
    set_text (ZLINK_TLS_CA, is.authorities, "--ca");
    set_text (ZLINK_TLS_HOSTNAME, is.name, "--name");
    if (is.unverified)
        set_int (ZLINK_TLS_VERIFY, 0, "--no-verify");
    if (is.listens && is.authorities)
        set_int (ZLINK_TLS_REQUIRE_CLIENT_CERT, 1, "--ca");
    if (!is.stays) /* CONNECT_RETRIED ends the program long before */
        set_int (ZLINK_RECONNECT_IVL, INT_MAX, "reconnect");
    monitor = zlink_socket_monitor_open (the_socket, ZLINK_EVENT_ALL);
    must (monitor ? 0 : -1, "monitor");
    must (zlink_msg_init (&message), "message");
}

static void start (void)
{
    char endpoint[512];
    size_t size = sizeof endpoint;
    if (!is.listens) {
        must (zlink_connect (the_socket, is.endpoint), is.endpoint);
        return;
    }
    must (zlink_bind (the_socket, is.endpoint), is.endpoint);
    must (zlink_getsockopt (the_socket, ZLINK_LAST_ENDPOINT, endpoint, &size), "endpoint");
    complain ("listening on %s", endpoint);
}

/* What was sent goes out before that returns. */
static void finish (void)
{
    zlink_msg_close (&message);
    zlink_close (monitor);
    zlink_close (the_socket);
    zlink_ctx_term (context);
    free (peers.ids);
    free (waiting.ids);
    free (input.bytes);
}

static const char usage[] =
  "usage: zlink-cat [OPTION...] ENDPOINT\n"
  "Sends each line of standard input as a message, and writes each message that comes as a line.\n"
  "\n"
  "  -l, --listen         listen on ENDPOINT instead of connecting; what is sent goes to all peers\n"
  "  -s, --send TEXT      send this one message instead of standard input\n"
  "  -a, --all            standard input is one message\n"
  "  -f, --framing KIND   length (4 bytes before each message; the default), text or binary (messages\n"
  "                       of WebSocket), or raw (bytes as they are)\n"
  "  -n, --count N        end when N messages have come\n"
  "  -w, --wait MS        after the end of the input, end when nothing came for MS milliseconds\n"
  "  -r, --retry          dial again when there is no connection\n"
  "  -x, --hex            write messages as hexadecimal digits\n"
  "  -i, --ids            write the peer's number and a tab before each message\n"
  "  -v, --verbose        tell on standard error who comes and goes, and why\n"
  "  -6, --ipv6           also IPv6\n"
  "      --cert FILE, --key FILE   the own certificate and its key\n"
  "      --ca FILE        authorities of the peer's certificate; with --listen, ask clients for one\n"
  "      --name NAME      the name in the server's certificate, instead of ENDPOINT's\n"
  "      --no-verify      take any certificate of the server\n"
  "      --stats FILE     let zlink-top watch through this file\n"
  "      --version, --help\n"
  "\n"
  "ENDPOINT is tcp://HOST:PORT, tls://HOST:PORT, ws://HOST:PORT/PATH, wss://HOST:PORT/PATH, ipc://FILE,\n"
  "or, to listen, any://HOST:PORT.\n";

static void usage_error (const char *what, const char *value)
{
    complain ("%s '%s'; see zlink-cat --help", what, value);
    exit (exit_usage);
}

static long number (const char *option, const char *text, long least)
{
    char *end;
    errno = 0;
    long value = strtol (text, &end, 10);
    if (errno || end == text || *end || value < least || value > INT_MAX) {
        complain ("%s takes a number of at least %ld, not '%s'", option, least, text);
        exit (exit_usage);
    }
    return value;
}

static void set_framing (const char *name)
{
    is.text = strcmp (name, "text") == 0;
    if (strcmp (name, "length") == 0)
        is.framing = ZLINK_STREAM_FRAMING_LENGTH;
    else if (is.text || strcmp (name, "binary") == 0)
        is.framing = ZLINK_STREAM_FRAMING_MESSAGES;
    else if (strcmp (name, "raw") == 0)
        is.framing = ZLINK_STREAM_FRAMING_RAW;
    else
        usage_error ("there is no framing", name);
}

static void show_version (void)
{
    int major, minor, patch;
    zlink_version (&major, &minor, &patch);
    printf ("zlink-cat %d.%d.%d\n", major, minor, patch);
    exit (0);
}

enum
{
    option_cert = 256,
    option_key,
    option_ca,
    option_name,
    option_no_verify,
    option_stats,
    option_version,
    option_help
};

static void take_option (int option)
{
    switch (option) {
        case 'l':
            is.listens = true;
            break;
        case 's':
            is.message = optarg;
            break;
        case 'a':
            is.takes_all = true;
            break;
        case 'f':
            set_framing (optarg);
            break;
        case 'n':
            is.count = number ("--count", optarg, 1);
            break;
        case 'w':
            is.wait_ms = number ("--wait", optarg, 0);
            break;
        case 'r':
            is.stays = true;
            break;
        case 'x':
            is.hex = true;
            break;
        case 'i':
            is.ids = true;
            break;
        case 'v':
            is.reports = true;
            break;
        case '6':
            is.ipv6 = true;
            break;
        case option_cert:
            is.certificate = optarg;
            break;
        case option_key:
            is.key = optarg;
            break;
        case option_ca:
            is.authorities = optarg;
            break;
        case option_name:
            is.name = optarg;
            break;
        case option_no_verify:
            is.unverified = true;
            break;
        case option_stats:
            is.statistics = optarg;
            break;
        case option_version:
            show_version ();
            break;
        case option_help:
            fputs (usage, stdout);
            exit (0);
        default: /* getopt_long has said what is wrong */
            exit (exit_usage);
    }
}

static void take_arguments (int argc, char **argv)
{
    static const struct option options[] = {
      {"listen", no_argument, NULL, 'l'},
      {"send", required_argument, NULL, 's'},
      {"all", no_argument, NULL, 'a'},
      {"framing", required_argument, NULL, 'f'},
      {"count", required_argument, NULL, 'n'},
      {"wait", required_argument, NULL, 'w'},
      {"retry", no_argument, NULL, 'r'},
      {"hex", no_argument, NULL, 'x'},
      {"ids", no_argument, NULL, 'i'},
      {"verbose", no_argument, NULL, 'v'},
      {"ipv6", no_argument, NULL, '6'},
      {"cert", required_argument, NULL, option_cert},
      {"key", required_argument, NULL, option_key},
      {"ca", required_argument, NULL, option_ca},
      {"name", required_argument, NULL, option_name},
      {"no-verify", no_argument, NULL, option_no_verify},
      {"stats", required_argument, NULL, option_stats},
      {"version", no_argument, NULL, option_version},
      {"help", no_argument, NULL, option_help},
      {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long (argc, argv, "ls:af:n:w:rxiv6", options, NULL)) != -1)
        take_option (option);
    if (optind != argc - 1)
        usage_error (optind == argc ? "an endpoint is missing after" : "more than one endpoint:", argv[argc - 1]);
    is.endpoint = argv[optind];
}

/* The message of --send is the whole input. */
static void set_input (void)
{
    if (!is.message)
        return;
    input.size = strlen (is.message);
    input.room = input.size + 1;
    input.bytes = memory (NULL, input.room);
    memcpy (input.bytes, is.message, input.room);
    input.ended = is.takes_all = true;
}

int main (int argc, char **argv)
{
    take_arguments (argc, argv);
    set_input ();
    open_socket ();
    start ();
    run ();
    finish ();
    return 0;
}
