/* SPDX-License-Identifier: MPL-2.0 */
#include "ztest.h"
#include "lab.h"
#include "process.h"

#include <dirent.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define ARGS_MAX 40

static char programs[4000];

void lab_find_programs (void)
{
    char self[4000] = "";
    CHECK (readlink ("/proc/self/exe", self, sizeof self - 1) > 0);
    snprintf (programs, sizeof programs, "%s", dirname (self));
}

/* program is a path in a buffer of its own. */
static const char *program (const char *name, char path[4096])
{
    snprintf (path, 4096, "%s/%s", programs, name);
    return path;
}

static const char *number (long value, char text[24])
{
    snprintf (text, 24, "%ld", value);
    return text;
}

/* --------------------------------------------------------------- the server */

static void read_line (struct lab_server *server, char *line, size_t cap)
{
    size_t size = 0;
    while (size + 1 < cap && read (server->child.fd, line + size, 1) == 1 && line[size] != '\n')
        size++;
    line[size] = '\0';
}

/* run starts a program, before all others of the machine if it is to be first. */
static zt_child_t run (const char *name, bool first, const char *const args[])
{
    char path[4096];
    const char *argv[ARGS_MAX + 5] = {"chrt", "-r", "1"};
    size_t n = first ? 3 : 0;
    argv[n++] = program (name, path);
    for (size_t i = 0; args[i]; i++) {
        CHECK (i < ARGS_MAX);
        argv[n++] = args[i];
    }
    return zt_spawn (argv);
}

bool lab_serve (struct lab_server *server, bool first, const char *const server_args[])
{
    char line[256];
    server->child = run ("attack_server", first, server_args);
    read_line (server, line, sizeof line);
    if (sscanf (line, "LISTENING %d %d %d", &server->tcp, &server->ws, &server->tls) == 3)
        return true;
    CHECK_EQ (zt_wait (&server->child), 3);
    return false;
}

void lab_stop (struct lab_server *server) { CHECK_EQ (zt_finish (&server->child), 0); }

struct told lab_ask (struct lab_server *server)
{
    struct told told;
    CHECK_EQ (write (server->child.fd, "\n", 1), 1);
    read_line (server, told.line, sizeof told.line);
    CHECK (told.line[0] != '\0'); /* else it has ended */
    return told;
}

uint64_t lab_ended_by (struct lab_server *server, const char *reason)
{
    struct told told = lab_ask (server);
    size_t size = strlen (reason);
    for (const char *at = strstr (told.line, "ended_by="); at && (at = strstr (at, reason)) != NULL; at += size)
        if (at[size] == ':' && (at[-1] == '=' || at[-1] == ','))
            return strtoull (at + size + 1, NULL, 10);
    return 0;
}

/* ------------------------------------------------------------- good clients */

void lab_open (struct lab *lab)
{
    memset (lab, 0, sizeof *lab);
    lab->tally_fd = memfd_create ("tally", 0);
    CHECK (lab->tally_fd >= 0);
    CHECK_OK (ftruncate (lab->tally_fd, sizeof (struct tally)));
    lab->tally = tally_of (lab->tally_fd);
    atomic_store (&lab->tally->part, PART_ALONE);
}

void lab_close (struct lab *lab)
{
    CHECK_OK (munmap (lab->tally, sizeof *lab->tally));
    CHECK_OK (close (lab->tally_fd));
}

void lab_good (struct lab *lab, int clients, int pace_ms, int new_each_s, bool first)
{
    char n[5][24];
    lab->good = run ("attack_good", first,
                     ZT_ARGV ("--port", number (lab->server.tcp, n[0]), "--clients", number (clients, n[1]), "--pace-ms", number (pace_ms, n[2]),
                              "--new-each-s", number (new_each_s, n[3]), "--tally-fd", number (lab->tally_fd, n[4])));
    ZT_UNTIL (atomic_load (&lab->tally->connected) == (uint64_t) clients);
}

void lab_good_end (struct lab *lab)
{
    atomic_store (&lab->tally->stop, true);
    CHECK_EQ (zt_finish (&lab->good), 0);
}

/* ---------------------------------------------------------------- attackers */

void lab_attack (struct lab *lab, const struct lab_server *server, const struct attack *attack, int nice)
{
    char path[4096], n[6][24];
    int port = !strcmp (attack->port, "ws") ? server->ws : !strcmp (attack->port, "tls") ? server->tls
                                                                                         : server->tcp;
    CHECK (attack->processes <= LAB_CROWDS);
    for (int i = 0; i < attack->processes; i++) {
        long most = attack->most / attack->processes, total = attack->total / attack->processes;
        lab->crowds[i] = zt_spawn (ZT_ARGV ("nice", "-n", number (nice, n[0]), program ("attack_crowd", path), "--kind", attack->kind,
                                            "--port", number (port, n[1]), "--most", number (most, n[2]), "--total", number (total, n[3]),
                                            "--number", number (i * (total ? total : most), n[4]), "--tally-fd", number (lab->tally_fd, n[5])));
    }
    lab->crowds_count = attack->processes;
}

void lab_attack_end (struct lab *lab)
{
    for (int i = 0; i < lab->crowds_count; i++)
        zt_kill (&lab->crowds[i]);
    lab->crowds_count = 0;
}

/* ------------------------------------------------------------ of a process */

double lab_resident_mb (pid_t pid) { return (double) process_status_kb (pid, "VmRSS:") * 1024 / 1e6; }
double lab_highest_mb (pid_t pid) { return (double) process_status_kb (pid, "VmHWM:") * 1024 / 1e6; }

double lab_cpu_s (pid_t pid) { return process_cpu_seconds (pid); }

void lab_forget_highest (pid_t pid)
{
    char path[64];
    snprintf (path, sizeof path, "/proc/%d/clear_refs", (int) pid);
    FILE *file = fopen (path, "w");
    CHECK (file != NULL);
    CHECK (fputs ("5\n", file) >= 0);
    CHECK_OK (fclose (file));
}

/* Those whose link begins with kind. */
static long descriptors (pid_t pid, const char *kind)
{
    char path[64], to[64];
    long count = 0;
    snprintf (path, sizeof path, "/proc/%d/fd", (int) pid);
    DIR *dir = opendir (path);
    CHECK (dir != NULL);
    for (struct dirent *entry; (entry = readdir (dir)) != NULL;)
        if (entry->d_name[0] != '.')
            count += !*kind || (readlinkat (dirfd (dir), entry->d_name, to, sizeof to) > 0 && !strncmp (to, kind, strlen (kind)));
    closedir (dir);
    return count;
}

long lab_descriptors (pid_t pid) { return descriptors (pid, ""); }
long lab_sockets (pid_t pid) { return descriptors (pid, "socket:"); }

double lab_tcp_mb (void)
{
    char line[256];
    long pages = 0;
    FILE *file = fopen ("/proc/net/sockstat", "r");
    CHECK (file != NULL);
    while (fgets (line, sizeof line, file))
        if (!strncmp (line, "TCP:", 4) && strstr (line, " mem "))
            pages = strtol (strstr (line, " mem ") + 5, NULL, 10);
    fclose (file);
    return (double) pages * (double) sysconf (_SC_PAGESIZE) / 1e6;
}
