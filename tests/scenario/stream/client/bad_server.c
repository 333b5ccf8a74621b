/* SPDX-License-Identifier: MPL-2.0 */
/* An echo server with one fault, to see that the load client finds it. A
 * thread for each connection; the fault happens at its FAULT_AT-th message.
 * With a fault of WebSockets it speaks ws. */
#include "bad_ws.h"
#include "message.h"
#include "settings.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAULT_AT 100
#define SLOW_MS 200
#define MAX_BODY 65536
#define SEND_TIME_AT 8 /* of a body */

enum fault
{
    FAULT_NONE,
    FAULT_WRONG_BYTES, /* the last byte of an echo is changed */
    FAULT_WRONG_HEADER, /* the send time in an echo is changed */
    FAULT_WRONG_LENGTH, /* an echo is a byte shorter */
    FAULT_DUPLICATE,   /* an echo comes twice */
    FAULT_LOST,        /* an echo does not come */
    FAULT_SWAP,        /* two echoes change places */
    FAULT_DIES,        /* the process ends */
    FAULT_SILENT,      /* no echo comes at all */
    FAULT_STALLS,      /* no echo comes from the fault on */
    FAULT_FOREIGN,     /* an echo is a message of another connection */
    FAULT_NO_ACCEPT,   /* connections are not taken */
    FAULT_SLOW,        /* every echo takes SLOW_MS */
    FAULT_MUTE,        /* it never says where it listens */
    FAULT_STAYS,       /* it does not end on SIGTERM */
    FAULT_WS           /* + an enum ws_fault */
};

static const char *const fault_names[] = {
  "none", "wrong-bytes", "wrong-header", "wrong-length", "duplicate", "lost",
  "swap", "dies", "silent", "stalls", "foreign",
  "no-accept", "slow", "mute", "stays",
  /* by enum ws_fault */
  "ws-none", "ws-split", "ws-refuses", "ws-upgrade", "ws-accept", "ws-mute",
  "ws-masked", "ws-text", "ws-opcode", "ws-stray", "ws-reserved",
  "ws-long-ping", "ws-part-ping", "ws-close"};

struct frame
{
    uint8_t length[MESSAGE_LENGTH_SIZE];
    uint8_t body[MAX_BODY];
};

struct peer
{
    int fd;
    struct bad_ws ws;
    struct frame frame, held;
};

static enum fault fault;
static long port;

/* The first message that arrived, for FAULT_FOREIGN. */
static pthread_mutex_t first_lock = PTHREAD_MUTEX_INITIALIZER;
static struct frame first;
static bool have_first;

static size_t body_size (const struct frame *frame)
{
    const uint8_t *l = frame->length;
    return (size_t) l[0] << 24 | (size_t) l[1] << 16 | (size_t) l[2] << 8
           | l[3];
}

static enum ws_fault ws_fault (void)
{
    return fault < FAULT_WS ? WS_FAULT_NONE
                            : (enum ws_fault) (fault - FAULT_WS);
}

static bool read_bytes (struct peer *peer, void *bytes, size_t len)
{
    return fault >= FAULT_WS
             ? bad_ws_read (&peer->ws, bytes, len)
             : recv (peer->fd, bytes, len, MSG_WAITALL) == (ssize_t) len;
}

static bool read_frame (struct peer *peer)
{
    struct frame *frame = &peer->frame;
    if (!read_bytes (peer, frame->length, sizeof frame->length))
        return false;
    size_t size = body_size (frame);
    return size <= sizeof frame->body && read_bytes (peer, frame->body, size);
}

static void write_frame (struct peer *peer, const struct frame *frame)
{
    size_t len = sizeof frame->length + body_size (frame);
    if (fault >= FAULT_WS)
        bad_ws_write (&peer->ws,
                      ws_fault () == WS_FAULT_SPLIT ? WS_FAULT_SPLIT
                                                    : WS_FAULT_NONE,
                      frame, len);
    else
        /* A client that has seen enough may be gone. */
        (void) !send (peer->fd, frame, len, MSG_NOSIGNAL);
}

/* Answers the message at which the fault happens. */
static void answer_badly (struct peer *peer)
{
    struct frame *frame = &peer->frame;
    size_t size = body_size (frame);
    switch (fault) {
        case FAULT_WRONG_BYTES:
            frame->body[size - 1] ^= 1;
            break;
        case FAULT_WRONG_HEADER:
            frame->body[SEND_TIME_AT] ^= 1;
            break;
        case FAULT_WRONG_LENGTH:
            frame->length[MESSAGE_LENGTH_SIZE - 1]--;
            break;
        case FAULT_DUPLICATE:
            write_frame (peer, frame);
            break;
        case FAULT_SWAP:
            memcpy (&peer->held, frame, sizeof *frame);
            return;
        case FAULT_DIES:
            _exit (0);
        case FAULT_FOREIGN:
            pthread_mutex_lock (&first_lock);
            memcpy (frame, &first, sizeof *frame);
            pthread_mutex_unlock (&first_lock);
            break;
        default:
            if (fault >= FAULT_WS)
                bad_ws_write (&peer->ws, ws_fault (), frame,
                              sizeof frame->length + size);
            return;
    }
    write_frame (peer, frame);
}

static void remember_first (const struct frame *frame)
{
    pthread_mutex_lock (&first_lock);
    if (!have_first)
        memcpy (&first, frame, sizeof first);
    have_first = true;
    pthread_mutex_unlock (&first_lock);
}

static void *serve_peer (void *arg)
{
    struct peer *peer = arg;
    peer->ws.fd = peer->fd;
    bool open = fault < FAULT_WS || bad_ws_accept (&peer->ws, ws_fault ());
    for (unsigned number = 1; open && read_frame (peer); number++) {
        if (number == 1)
            remember_first (&peer->frame);
        if (fault == FAULT_SILENT)
            continue;
        if (fault == FAULT_SLOW)
            usleep (SLOW_MS * 1000);
        if (fault != FAULT_NONE && number == FAULT_AT)
            answer_badly (peer);
        else if (fault != FAULT_STALLS || number < FAULT_AT)
            write_frame (peer, &peer->frame);
        if (fault == FAULT_SWAP && number == FAULT_AT + 1)
            write_frame (peer, &peer->held);
    }
    close (peer->fd);
    free (peer);
    return NULL;
}

static void serve (int listener)
{
    for (;;) {
        int fd = accept (listener, NULL, NULL);
        struct peer *peer = fd < 0 ? NULL : calloc (1, sizeof *peer);
        pthread_t thread;
        if (!peer) {
            perror ("accept");
            return;
        }
        peer->fd = fd;
        if (pthread_create (&thread, NULL, serve_peer, peer) != 0) {
            free (peer);
            close (fd);
            return;
        }
        pthread_detach (thread);
    }
}

static int listen_on_port (void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons ((uint16_t) port),
                                  .sin_addr.s_addr = htonl (INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    int on = 1; /* accepted sockets inherit it */
    if (fd < 0
        || setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0
        || bind (fd, (struct sockaddr *) &address, len) != 0
        || listen (fd, fault == FAULT_NO_ACCEPT ? 0 : SOMAXCONN) != 0
        || getsockname (fd, (struct sockaddr *) &address, &len) != 0) {
        perror ("cannot listen");
        exit (1);
    }
    printf ("LISTENING %d\n", ntohs (address.sin_port));
    fflush (stdout);
    return fd;
}

int main (int argc, char **argv)
{
    const char *name = "none";
    const struct setting table[] = {
      {"FAULT", SETTING_TEXT, true, &name, 0, 0, "what goes wrong"},
      {"PORT", SETTING_INTEGER, true, &port, 0, 65535,
       "port to listen on, 0: any free one"},
    };
    enum settings_result settings = settings_read (
      table, sizeof table / sizeof table[0], argc, argv);
    if (settings != SETTINGS_OK)
        return settings == SETTINGS_HELP ? 0 : 2;
    size_t count = sizeof fault_names / sizeof fault_names[0];
    size_t found = 0;
    while (found < count && strcmp (fault_names[found], name) != 0)
        found++;
    if (found == count) {
        fprintf (stderr, "--fault %s: unknown\n", name);
        return 2;
    }
    fault = (enum fault) found;
    if (fault == FAULT_MUTE)
        pause ();
    if (fault == FAULT_STAYS)
        signal (SIGTERM, SIG_IGN);
    int listener = listen_on_port ();
    if (fault == FAULT_NO_ACCEPT)
        pause ();
    serve (listener);
    return 1;
}
