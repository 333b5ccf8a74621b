/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Resident memory after clients that send and do not read.
 * usage: after_flood SIZE idle|busy
 *
 * 150 clients send messages of SIZE bytes to a server that echoes, and read
 * nothing, until 400 MB wait for them; then they go. "busy": 100 other clients make
 * round trips all the while, and compare each echo. Resident memory is told before,
 * at the end of the flood, and each second afterwards.
 */
#include "measure.h"

#include <fcntl.h>

enum
{
    FLOODERS = 150,
    GOOD = 100,
    BLOCK = 32 << 10,
    GOOD_BYTES = 104
};
#define MOST 400000000u /* bytes queued */

static size_t size;

static void flood (int port)
{
    static unsigned char block[BLOCK];
    static int fds[FLOODERS];
    static size_t done[FLOODERS]; /* bytes of the block that went */
    size_t frame = size + 4, used = BLOCK / frame * frame;
    for (size_t at = 0; at < used; at += frame) {
        uint32_t length = htonl ((uint32_t) size);
        memcpy (block + at, &length, 4);
    }
    for (int i = 0; i < FLOODERS; i++) {
        fds[i] = dial (port);
        fcntl (fds[i], F_SETFL, O_NONBLOCK);
    }
    for (;;)
        for (int i = 0; i < FLOODERS; i++) {
            ssize_t n = send (fds[i], block + done[i], used - done[i], 0);
            if (n > 0)
                done[i] = (done[i] + (size_t) n) % used;
        }
}

static void be_good (int port)
{
    unsigned char sent[GOOD_BYTES] = {0, 0, 0, GOOD_BYTES - 4}, got[GOOD_BYTES];
    static int fds[GOOD];
    for (int i = 0; i < GOOD; i++)
        fds[i] = dial (port);
    for (uint32_t n = 0;; n++) {
        memcpy (sent + 4, &n, sizeof n);
        for (int i = 0; i < GOOD; i++)
            if (send (fds[i], sent, sizeof sent, 0) != sizeof sent)
                fail ("send of a good client");
        for (int i = 0; i < GOOD; i++)
            if (recv (fds[i], got, sizeof got, MSG_WAITALL) != sizeof got || memcmp (sent, got, sizeof got)) {
                fprintf (stderr, "echo of a good client is wrong or missing\n");
                _exit (1);
            }
        usleep (1000);
    }
}

int main (int argc, char **argv)
{
    if (argc < 3 || (size = strtoul (argv[1], NULL, 10)) == 0 || size > BLOCK - 4) {
        fprintf (stderr, "usage: after_flood SIZE idle|busy\n");
        return 2;
    }
    bool busy = !strcmp (argv[2], "busy");
    struct child bad = new_child (flood), good = new_child (be_good);
    void *ctx = zlink_ctx_new (), *s = fast_socket (ctx);
    set_int (s, ZLINK_SNDHWM, 0);
    set_int (s, ZLINK_LINGER, 0);
    int port = bind_any (s, "tcp");
    pthread_t thread;
    pthread_create (&thread, NULL, echo, s);
    if (busy)
        start_child (&good, port);
    sleep_ms (1000);
    double before = resident_mb (), from = now_ms ();
    start_child (&bad, port);
    while (stats_of (s).bytes_queued < MOST && now_ms () - from < 20000)
        sleep_ms (5);
    zlink_stream_stats_t stats = stats_of (s);
    printf ("after_flood %5zu bytes, %s: before %.1f MB; at the end %.0f MB, of which %.0f MB were queued "
            "(memory %.0f MB); ",
            size, argv[2], before, resident_mb (), (double) stats.bytes_queued / 1e6, (double) stats.memory / 1e6);
    end_child (&bad);
    printf ("after 1 to 8 s");
    for (int i = 1; i <= 8; i++) {
        sleep_ms (1000);
        printf (" %.1f", resident_mb ());
    }
    int status = 0;
    bool lost = busy && waitpid (good.pid, &status, WNOHANG) != 0;
    printf (" MB%s\n", !busy ? "" : lost ? "; ECHOES WERE LOST"
                                         : "; every echo of the others came");
    if (!lost)
        end_child (&good);
    zlink_ctx_shutdown (ctx);
    pthread_join (thread, NULL);
    zlink_close (s);
    zlink_ctx_term (ctx);
    return lost;
}
