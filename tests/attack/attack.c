/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One attack on an echo server beside good clients: attack --kind NAME [--name value]...
 *
 * The parts of a run: good clients alone; beside the same attack on another server of
 * the same kind ("elsewhere": what the processors' share alone does); during the
 * attack; afterwards. The good clients' echoes are counted from the first to the last.
 * Attackers have the lowest priority (--nice 19), as they are on the server's machine
 * only here. Whoever wakes up may still have to wait for a processor. With --first 1,
 * servers and good clients run before all others (SCHED_RR), as on machines of their own.
 */
#include "ztest.h"
#include "lab.h"
#include "settings.h"

#include <stdio.h>
#include <sys/prctl.h>

#define AFTER_S 60 /* for descriptors to come back */
#define CALM_S 5   /* then, until memory is looked at */

static struct
{
    const char *kind, *profile, *set, *cert, *key, *on_full;
    long clients, pace_ms, new_each_s, scale, nice, first, elsewhere;
    double seconds;
} given = {NULL, "private", "", "", "", "abort", 1000, 200, 20, 1, 19, 0, 1, 0};

/* An attack, and how long it lasts at the least. */
static const struct
{
    struct attack attack;
    double seconds;
    const char *set; /* options of the server's socket, if none are given */
    bool keep;       /* it keeps peers whose queues are full */
} attacks[] = {
  {{"flood", "5,000 that send and never read", "tcp", 5000, 0, 2}, 10, NULL, false},
  {{"unread", "5,000 that are sent to and never read", "tcp", 5000, 0, 2}, 10, NULL, false},
  /* SNDBUF 16 KiB, so that the kernel soon has enough, and STREAM_FULL_POLICY AGAIN */
  {{"stuck", "10,000 that are sent to without end and never read", "tcp", 10000, 0, 2}, 10, "11=16384,306=0", true},
  {{"length", "5,000 lengths of 0xFFFFFFFF, a byte a second", "tcp", 5000, 0, 2}, 10, NULL, false},
  {{"vanish", "50,000 connect and vanish", "tcp", 1000, 50000, 2}, 5, NULL, false},
  {{"silent", "15,000 silent ones", "tcp", 15000, 0, 2}, 40, NULL, false},
  {{"hello", "5,000 TLS hellos that stop half way", "tls", 5000, 0, 2}, 15, NULL, false},
  {{"ping", "64 that flood ws pings and never read", "ws", 64, 0, 2}, 10, NULL, false},
  {{"keys", "64 that flood TLS KeyUpdates and never read", "tls", 64, 0, 2}, 10, NULL, false},
  {{"rate", "one address that opens 10,000 a second", "tcp", 12000, 0, 1}, 10, NULL, false},
};

static struct lab lab;
static struct attack attack;

struct look
{
    double resident, tcp, cpu, at_ms;
    long descriptors;
};

static struct look look_at_server (void)
{
    pid_t pid = lab.server.child.pid;
    struct look l = {lab_resident_mb (pid), lab_tcp_mb (), lab_cpu_s (pid), zt_now_ms (), lab_descriptors (pid)};
    return l;
}

static double percentile_ms (const struct histogram *h, double percent) { return histogram_percentile (h, percent) / 1e6; }

static double processors (struct look from, struct look to) { return (to.cpu - from.cpu) * 1e3 / (to.at_ms - from.at_ms); }

/* begin_part: what good clients send from now on belongs to it. */
static void begin_part (enum phase part) { atomic_store (&lab.tally->part, part); }

struct peak
{
    double tcp;
    long descriptors;
};

/* stay lets an attack go on for its time, and until all have come who come once. */
static struct peak stay (double seconds)
{
    struct peak peak = {0, 0};
    uint64_t before = atomic_load (&lab.tally->opened) + atomic_load (&lab.tally->refused);
    for (double end = zt_now_ms () + seconds * 1e3;;) {
        double tcp = lab_tcp_mb ();
        long descriptors = lab_descriptors (lab.server.child.pid);
        peak.tcp = tcp > peak.tcp ? tcp : peak.tcp;
        peak.descriptors = descriptors > peak.descriptors ? descriptors : peak.descriptors;
        uint64_t came = atomic_load (&lab.tally->opened) + atomic_load (&lab.tally->refused) - before;
        if (zt_now_ms () >= end && (attack.total == 0 || came >= (uint64_t) attack.total || zt_now_ms () >= end + 60e3))
            return peak;
        zt_pause_ms (100);
    }
}

static void clear_attackers (void)
{
    atomic_store (&lab.tally->opened, 0);
    atomic_store (&lab.tally->refused, 0);
    atomic_store (&lab.tally->cut, 0);
    atomic_store (&lab.tally->open, 0);
    atomic_store (&lab.tally->bytes, 0);
}

static void elsewhere (const char *const server_args[], double seconds)
{
    struct lab_server other;
    CHECK (lab_serve (&other, given.first, server_args));
    begin_part (PART_ELSEWHERE);
    lab_attack (&lab, &other, &attack, (int) given.nice);
    stay (seconds);
    begin_part (PART_AFTER); /* its end is nobody's */
    lab_attack_end (&lab);
    zt_kill (&other.child);
    zt_pause_ms (2000);
    clear_attackers ();
}

/* Seconds until the descriptors are as before; -1: not in time. */
static double come_back (long descriptors)
{
    double start = zt_now_ms ();
    while (lab_descriptors (lab.server.child.pid) > descriptors)
        if (zt_now_ms () - start > AFTER_S * 1e3)
            return -1;
        else
            zt_pause_ms (20);
    return (zt_now_ms () - start) / 1e3;
}

static unsigned long long count (_Atomic uint64_t *n) { return (unsigned long long) atomic_load (n); }

static void tell_echoes (void)
{
    struct tally *t = lab.tally;
    unsigned long long sent = count (&t->sent), checked = count (&t->checked);
    printf ("echoes: sent %llu, checked %llu, wrong %llu, clients lost %llu: %s\n", sent, checked, count (&t->wrong),
            count (&t->lost), sent == checked && count (&t->wrong) == 0 && count (&t->lost) == 0 ? "complete" : "NOT COMPLETE");
    static const struct
    {
        const char *name;
        enum phase part;
    } parts[] = {{"alone", PART_ALONE}, {"elsewhere", PART_ELSEWHERE}, {"attack", PART_ATTACK}};
    double alone = percentile_ms (&t->echo[PART_ALONE], 99);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const struct histogram *h = &t->echo[parts[i].part], *f = &t->fresh[parts[i].part];
        if (h->total)
            printf ("%s: %llu echoes, p50 %.2f, p99 %.2f, max %.1f ms, p99 %.1f times alone; %llu new clients, p50 %.2f, p99 %.2f ms\n", parts[i].name,
                    (unsigned long long) h->total, percentile_ms (h, 50), percentile_ms (h, 99), (double) h->max / 1e6,
                    percentile_ms (h, 99) / alone, (unsigned long long) f->total, percentile_ms (f, 50), percentile_ms (f, 99));
    }
    printf ("new clients: came %llu, served %llu, failed %llu\n", count (&t->new_tried), count (&t->new_served), count (&t->new_failed));
}

/* What a run has come to, as a row of run.sh's table. */
struct found
{
    struct look start, before, attacked, during, after;
    struct peak peak;
    struct told told;
    double highest, back;
};

static void tell_row (const struct found *f)
{
    struct tally *t = lab.tally;
    const struct histogram *alone = &t->echo[PART_ALONE], *other = &t->echo[PART_ELSEWHERE], *during = &t->echo[PART_ATTACK];
    double p99 = percentile_ms (during, 99), p99_other = percentile_ms (other, 99);
    const char *why = strstr (f->told.line, "ended_by=");
    printf ("row: | %s | %s | %llu of %llu | %.2f, %.2f ms | %.2f, %.2f | %.2f, %.2f | %.1f, %.1f | %llu of %llu, %.1f ms ", attack.title, given.profile,
            count (&t->checked), count (&t->sent), percentile_ms (alone, 50), percentile_ms (alone, 99), percentile_ms (other, 50), p99_other,
            percentile_ms (during, 50), p99, p99 / percentile_ms (alone, 99), p99_other > 0 ? p99 / p99_other : 0,
            count (&t->new_served), count (&t->new_tried), percentile_ms (&t->fresh[PART_ATTACK], 99));
    printf ("| %.1f, %.1f, %.1f MB | %.0f MB | %ld, %ld, %ld | %.2f, %.2f | %llu, %llu | %s |\n",
            f->before.resident, f->highest, f->after.resident, f->peak.tcp, f->before.descriptors, f->peak.descriptors, f->after.descriptors,
            processors (f->start, f->before), processors (f->attacked, f->during), count (&t->opened), count (&t->cut), why ? why + strlen ("ended_by=") : "");
}

static void tell (const struct found *f)
{
    printf ("# %s, %s\n", attack.title, given.profile);
    tell_echoes ();
    printf ("memory: before %.1f, highest %.1f, after %.1f MB; the kernel's for TCP: before %.1f, highest %.1f, after %.1f MB\n",
            f->before.resident, f->highest, f->after.resident, f->before.tcp, f->peak.tcp, f->after.tcp);
    printf ("descriptors: before %ld, highest %ld, after %ld, back after %.1f s\n", f->before.descriptors, f->peak.descriptors,
            f->after.descriptors, f->back);
    printf ("processors of the server: alone %.2f, attack %.2f\n", processors (f->start, f->before), processors (f->attacked, f->during));
    printf ("attackers: opened %llu, refused %llu, cut %llu, sent %.1f MB\n", count (&lab.tally->opened),
            count (&lab.tally->refused), count (&lab.tally->cut), (double) count (&lab.tally->bytes) / 1e6);
    printf ("statistics: %s\n", f->told.line);
    tell_row (f);
}

static void run (const char *const server_args[], double seconds)
{
    struct found f;
    lab_open (&lab);
    if (!lab_serve (&lab.server, given.first, server_args)) {
        printf ("left out: this library has no profile %s\n", given.profile);
        exit (77);
    }
    pid_t pid = lab.server.child.pid;
    lab_good (&lab, (int) given.clients, (int) given.pace_ms, (int) given.new_each_s, given.first);
    begin_part (PART_AFTER); /* the first messages are nobody's */
    zt_pause_ms (2000);
    begin_part (PART_ALONE);
    f.start = look_at_server ();
    zt_pause_ms (5000);
    f.before = look_at_server ();
    if (given.elsewhere)
        elsewhere (server_args, seconds);
    lab_forget_highest (pid);
    f.attacked = look_at_server ();
    begin_part (PART_ATTACK);
    lab_attack (&lab, &lab.server, &attack, (int) given.nice);
    f.peak = stay (seconds);
    f.during = look_at_server ();
    begin_part (PART_AFTER);
    lab_attack_end (&lab);
    f.back = come_back (f.before.descriptors + 8); /* new clients come and go */
    zt_pause_ms (CALM_S * 1000);
    f.after = look_at_server ();
    f.highest = lab_highest_mb (pid);
    lab_good_end (&lab);
    f.told = lab_ask (&lab.server);
    lab_stop (&lab.server);
    tell (&f);
}

int main (int argc, char **argv)
{
    const struct setting table[] = {
      {"KIND", SETTING_TEXT, true, &given.kind, 0, 0, "flood, unread, stuck, length, vanish, silent, hello, ping, keys or rate"},
      {"PROFILE", SETTING_TEXT, true, &given.profile, 0, 0, "private or public"},
      {"SET", SETTING_TEXT, true, &given.set, 0, 0, "options of the server's socket, NUMBER=VALUE,NUMBER=VALUE..."},
      {"ON_FULL", SETTING_TEXT, true, &given.on_full, 0, 0, "a peer whose queue is full: abort it, or keep it"},
      {"CERT", SETTING_TEXT, true, &given.cert, 0, 0, "PEM file, for attacks over tls"},
      {"KEY", SETTING_TEXT, true, &given.key, 0, 0, "PEM file"},
      {"CLIENTS", SETTING_INTEGER, true, &given.clients, 1, 15000, "good clients"},
      {"PACE_MS", SETTING_INTEGER, true, &given.pace_ms, 1, 60000, "each sends a message so often"},
      {"NEW_EACH_S", SETTING_INTEGER, true, &given.new_each_s, 0, 1000, "new clients a second"},
      {"SCALE", SETTING_INTEGER, true, &given.scale, 1, 1000, "divides the number of attackers"},
      {"NICE", SETTING_INTEGER, true, &given.nice, 0, 19, "priority of attackers"},
      {"FIRST", SETTING_INTEGER, true, &given.first, 0, 1, "1: servers and good clients run before all others (root)"},
      {"ELSEWHERE", SETTING_INTEGER, true, &given.elsewhere, 0, 1, "1: also beside an attack on another server"},
      {"SECONDS", SETTING_SECONDS, true, &given.seconds, 0, 3600, "of the attack; 0: as fits it"},
    };
    enum settings_result read = settings_read (table, sizeof table / sizeof table[0], argc, argv);
    if (read != SETTINGS_OK)
        return read == SETTINGS_HELP ? 0 : 2;
    double seconds = given.seconds;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++)
        if (given.kind && !strcmp (attacks[i].attack.kind, given.kind)) {
            attack = attacks[i].attack;
            seconds = seconds > 0 ? seconds : attacks[i].seconds;
            given.set = *given.set || !attacks[i].set ? given.set : attacks[i].set;
            given.on_full = attacks[i].keep ? "keep" : given.on_full;
        }
    if (attack.kind == NULL || (!strcmp (attack.port, "tls") && !*given.cert)) {
        fprintf (stderr, "attack: a kind is needed, and for one over tls a certificate\n");
        return 2;
    }
    attack.most /= given.scale;
    attack.total /= given.scale;
    setvbuf (stdout, NULL, _IOLBF, 0);
    lab_find_programs ();
    run (ZT_ARGV ("--profile", given.profile, "--set", given.set, "--on-full", given.on_full, "--cert", given.cert, "--key", given.key), seconds);
    return count (&lab.tally->sent) == count (&lab.tally->checked) && count (&lab.tally->lost) == 0 ? 0 : 1;
}
