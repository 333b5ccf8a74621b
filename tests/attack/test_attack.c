/* SPDX-License-Identifier: MPL-2.0 */
/* Small attacks of each kind: good clients miss nothing, what the server holds is
 * bounded, and afterwards its descriptors are as before. */
#include "ztest.h"
#include "lab.h"

#include <stdio.h>

enum
{
    CLIENTS = 20,
    PACE_MS = 50,
    ECHOES = 10 * CLIENTS /* that come during an attack, at the least */
};

struct small
{
    struct attack attack;
    bool (*done) (struct lab *lab, const struct attack *attack); /* what it is to come to */
    double most_mb;                                              /* that memory grows by */
    const char *reason; /* for which as many end as there are attackers; NULL: they need not */
};

/* -------------------------------------------------- what an attack comes to */

static bool all_open (struct lab *lab, const struct attack *attack)
{
    return atomic_load (&lab->tally->open) == (uint64_t) attack->most;
}

static bool all_came (struct lab *lab, const struct attack *attack)
{
    return atomic_load (&lab->tally->opened) >= (uint64_t) attack->total;
}

static bool all_cut (struct lab *lab, const struct attack *attack)
{
    return atomic_load (&lab->tally->cut) >= (uint64_t) attack->most;
}

static bool five_bytes (struct lab *lab, const struct attack *attack)
{
    return atomic_load (&lab->tally->bytes) >= (uint64_t) attack->most * 5;
}

static bool megabytes (struct lab *lab, const struct attack *attack)
{
    (void) attack;
    return atomic_load (&lab->tally->bytes) >= 16u << 20;
}

static bool thousands (struct lab *lab, const struct attack *attack)
{
    (void) attack;
    return atomic_load (&lab->tally->opened) >= 3000;
}

/* ---------------------------------------------------------------- a run */

static void check_echoes (struct tally *tally)
{
    CHECK_EQ (atomic_load (&tally->wrong), 0);
    CHECK_EQ (atomic_load (&tally->lost), 0);
    CHECK_EQ (atomic_load (&tally->checked), atomic_load (&tally->sent));
}

static void check_memory (pid_t pid, double before, double most_mb)
{
    double grown = lab_highest_mb (pid) - before;
    printf ("memory grew from %.1f by %.1f MB at the most\n", before, grown);
#if ZT_SCALE == 1 /* sanitizers have memory of their own */
    CHECK_RANGE (grown, 0, most_mb);
#else
    (void) most_mb;
#endif
}

static char folder[] = "/tmp/zlink-attack-XXXXXX";

static void remove_folder (void)
{
    char output[64];
    zt_run (ZT_ARGV ("rm", "-rf", folder), output, sizeof output);
}

/* The path of cert.pem or key.pem, in a buffer of its own. One certificate is made, at the
 * first call: the many of zt_cert take long on a busy machine. */
static const char *certificate (const char *file)
{
    static char paths[2][64], output[4096];
    static bool made;
    char *path = paths[file[0] == 'k'];
    if (!made) {
        CHECK (mkdtemp (folder) != NULL);
        atexit (remove_folder);
        CHECK_EQ (zt_run (ZT_ARGV (MAKE_CERTIFICATE, folder), output, sizeof output), 0);
    }
    made = true;
    snprintf (path, sizeof paths[0], "%s/%s", folder, file);
    return path;
}

static void attack (const struct small *small, const char *profile, const char *set)
{
    struct lab lab;
    bool tls = !strcmp (small->attack.port, "tls");
    const char *cert = tls ? certificate ("cert.pem") : "", *key = tls ? certificate ("key.pem") : "";
    lab_open (&lab);
    if (!lab_serve (&lab.server, false, ZT_ARGV ("--profile", profile, "--set", set, "--push-ms", "1", "--cert", cert, "--key", key))) {
        zt_skip ("this library has no profile %s", profile);
        return;
    }
    pid_t pid = lab.server.child.pid;
    lab_good (&lab, CLIENTS, PACE_MS, 0, false);
    ZT_UNTIL (atomic_load (&lab.tally->checked) >= ECHOES);
    long sockets = lab_sockets (pid);
    double before = lab_resident_mb (pid);
    lab_forget_highest (pid);

    uint64_t echoes = atomic_load (&lab.tally->checked);
    lab_attack (&lab, &lab.server, &small->attack, 0);
    ZT_UNTIL (small->done (&lab, &small->attack));
    ZT_UNTIL (small->reason == NULL || lab_ended_by (&lab.server, small->reason) >= (uint64_t) small->attack.most);
    ZT_UNTIL (atomic_load (&lab.tally->checked) >= echoes + ECHOES);
    lab_attack_end (&lab);

    ZT_UNTIL (lab_sockets (pid) == sockets);
    check_memory (pid, before, small->most_mb);
    lab_good_end (&lab);
    check_echoes (lab.tally);
    lab_stop (&lab.server);
    lab_close (&lab);
}

/* ---------------------------------------------------------------- the cases */

static void flood (void)
{
    static const struct small endured = {{"flood", "", "tcp", 20, 0, 1}, megabytes, 400, NULL};
    static const struct small ended = {{"flood", "", "tcp", 20, 0, 1}, all_cut, 96, "queue_bound"};
    attack (&endured, "private", "");
    attack (&ended, "public", "");
}

static void unread (void)
{
    static const struct small endured = {{"unread", "", "tcp", 20, 0, 1}, all_open, 64, NULL};
    static const struct small ended = {{"unread", "", "tcp", 20, 0, 1}, all_cut, 64, "queue_bound"};
    attack (&endured, "private", "");
    attack (&ended, "public", "");
}

static void lengths (void)
{
    static const struct small endured = {{"length", "", "tcp", 50, 0, 1}, five_bytes, 16, NULL};
    static const struct small ended = {{"length", "", "tcp", 50, 0, 1}, all_cut, 16, "too_long"};
    attack (&endured, "private", "");
    attack (&ended, "public", "");
}

static void vanish (void)
{
    static const struct small small = {{"vanish", "", "tcp", 50, 1000, 1}, all_came, 16, NULL};
    attack (&small, "private", "");
    attack (&small, "public", "");
}

static void silent (void)
{
    static const struct small endured = {{"silent", "", "tcp", 100, 0, 1}, all_open, 16, NULL};
    static const struct small ended = {{"silent", "", "tcp", 100, 0, 1}, all_cut, 16, "first_message"};
    attack (&endured, "private", "");
    attack (&ended, "public", "313=1000"); /* STREAM_FIRST_MESSAGE_TIMEOUT */
}

static void hello (void)
{
    static const struct small small = {{"hello", "", "tls", 50, 0, 1}, all_cut, 16, "handshake"};
    attack (&small, "private", "66=1000"); /* HANDSHAKE_IVL */
    attack (&small, "public", "66=1000");
}

static void pings (void)
{
    static const struct small small = {{"ping", "", "ws", 10, 0, 1}, all_open, 32, NULL};
    attack (&small, "private", "");
    attack (&small, "public", "");
}

static void keys (void)
{
#ifdef HAVE_OPENSSL
    /* After a reset, what the kernel has of them is still read as slowly as they may change keys. */
    static const struct small small = {{"keys", "", "tls", 8, 0, 1}, five_bytes, 32, NULL};
    attack (&small, "private", "");
    attack (&small, "public", "");
#else
    zt_skip ("it needs OpenSSL when this is built");
#endif
}

static void rate (void)
{
    static const struct small endured = {{"rate", "", "tcp", 2000, 0, 1}, thousands, 32, NULL};
    static const struct small refused = {{"rate", "", "tcp", 2000, 0, 1}, thousands, 16, "limit"};
    attack (&endured, "private", "");
    attack (&refused, "public", "");
}

static const zt_case_t cases[] = {
  ZT_CASE (flood),
  ZT_CASE (unread),
  ZT_CASE (lengths),
  ZT_CASE (vanish),
  ZT_CASE (silent),
  ZT_CASE (hello),
  ZT_CASE (pings),
  ZT_CASE (keys),
  ZT_CASE (rate),
};

int main (int argc, char **argv)
{
    lab_find_programs ();
    return zt_main (argc, argv, cases, sizeof cases / sizeof cases[0]);
}
