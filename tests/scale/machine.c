/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the machine has to have for million.c: a network namespace of its own, whose settings end with it, descriptors,
 * and memory that has been used before.
 */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "sample.h"

enum
{
    KB_PER_PAIR = 12,      /* of the kernel, servers and clients, when a message is under way to each */
    KB_SPARE = 1024 * 1024 /* and of the machine for everything else */
};

static bool put_text (int fd, const char *text)
{
    return fd >= 0 && pwrite (fd, text, strlen (text), 0) == (ssize_t) strlen (text);
}

/* Writes a setting; says so when it cannot. */
static void change (const char *path, const char *value)
{
    int fd = open (path, O_WRONLY | O_CLOEXEC);
    if (!put_text (fd, value))
        printf ("%s stays as it is (%s): %s was wanted\n", path, strerror (errno), value);
    if (fd >= 0)
        close (fd);
}

static bool loopback_up (void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = fd >= 0 && ioctl (fd, SIOCSIFFLAGS, &lo) == 0;
    if (fd >= 0)
        close (fd);
    return up;
}

/* Goes to a network namespace with a table of connections that has room for both ends of all. The size is a setting
 * of the namespace that makes another, and is put back there. */
static bool go_apart (long connections)
{
    char before[32] = "", wanted[32];
    long entries = 1 << 16;
    int fd = open ("/proc/sys/net/ipv4/tcp_child_ehash_entries", O_RDWR | O_CLOEXEC);
    while (entries < 2 * connections && entries < 1 << 24)
        entries *= 2;
    snprintf (wanted, sizeof wanted, "%ld", entries);
    int home = open ("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        flock (fd, LOCK_EX); /* another run changes it and puts it back, too */
    bool sized = fd >= 0 && pread (fd, before, sizeof before - 1, 0) > 0 && put_text (fd, wanted);
    bool apart = home >= 0 && unshare (CLONE_NEWNET) == 0;
    if (sized)
        put_text (fd, before);
    if (apart && !loopback_up ()) {
        int why = errno;
        if (setns (home, CLONE_NEWNET) < 0)
            die ("back to the first network namespace");
        errno = why;
        apart = false;
    }
    int why = errno;
    if (fd >= 0)
        close (fd);
    if (home >= 0)
        close (home);
    errno = why;
    return apart;
}

void own_network (long connections)
{
    if (!go_apart (connections)) {
        printf ("no network namespace of its own (%s), so the kernel's settings are what they are\n", strerror (errno));
        return;
    }
    change ("/proc/sys/net/core/somaxconn", "65535");
    change ("/proc/sys/net/ipv4/tcp_max_syn_backlog", "65535");
    printf ("a network namespace of its own: tcp_ehash_entries %ld, somaxconn 65535, tcp_max_syn_backlog 65535\n",
            setting ("/proc/sys/net/ipv4/tcp_ehash_entries"));
}

long descriptors (long wanted)
{
    struct rlimit most;
    getrlimit (RLIMIT_NOFILE, &most);
    struct rlimit more = {(rlim_t) wanted, (rlim_t) wanted};
    if (wanted > (long) most.rlim_max && setrlimit (RLIMIT_NOFILE, &more) == 0) /* as root */
        return wanted;
    most.rlim_cur = most.rlim_max;
    setrlimit (RLIMIT_NOFILE, &most);
    return (long) most.rlim_max;
}

/* KB of memory that programs can have. */
static long available_kb (void)
{
    char line[256];
    long kb = 0;
    FILE *f = fopen ("/proc/meminfo", "re");
    while (f && fgets (line, sizeof line, f))
        if (strncmp (line, "MemAvailable:", 13) == 0)
            kb = atol (line + 13);
    if (f)
        fclose (f);
    return kb;
}

/* Uses so many KB once, and gives them back. */
static void touch (size_t kb)
{
    char *p = mmap (NULL, kb << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t at = 0; p != MAP_FAILED && at < kb << 10; at += 4096)
        p[at] = 1;
    _exit (p == MAP_FAILED);
}

bool warm_memory (long connections, int processes, char *why, size_t size)
{
    long kb = connections * KB_PER_PAIR, room = available_kb () - KB_SPARE;
    double begin = now_s ();
    if (kb > room) {
        snprintf (why, size, "%ld connections take %ld MB of memory, and %ld MB are left beside the rest", connections, kb / 1024,
                  room / 1024);
        return false;
    }
    for (int i = 0; i < processes; i++)
        if (fork () == 0)
            touch ((size_t) (kb / processes));
    while (wait (NULL) > 0)
        ;
    printf ("%ld MB of memory have been used once before: %.1f s\n", kb / 1024, now_s () - begin);
    return true;
}

/* A counter of the kernel: a line of names, and one of values. */
static int64_t counter_in (const char *path, const char *name)
{
    static char names[16384], values[16384];
    FILE *f = fopen (path, "re");
    int64_t found = -1;
    while (f && found < 0 && fgets (names, sizeof names, f) && fgets (values, sizeof values, f)) {
        char *n, *v, *last_n, *last_v;
        for (n = strtok_r (names, " \n", &last_n), v = strtok_r (values, " \n", &last_v); n && v;
             n = strtok_r (NULL, " \n", &last_n), v = strtok_r (NULL, " \n", &last_v))
            if (strcmp (n, name) == 0)
                found = atoll (v);
    }
    if (f)
        fclose (f);
    return found;
}

int64_t kernel_counter (const char *name)
{
    int64_t n = counter_in ("/proc/self/net/netstat", name);
    return n < 0 ? counter_in ("/proc/self/net/snmp", name) : n;
}
