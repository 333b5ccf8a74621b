/* SPDX-License-Identifier: MPL-2.0 */
/* A server, good clients and attackers, each a process of its own. Include it after
 * ztest.h. */
#ifndef ATTACK_LAB_H
#define ATTACK_LAB_H

#include "tally.h"
#include "zchild.h"

#define LAB_CROWDS 8

struct lab_server
{
    zt_child_t child;
    int tcp, ws, tls; /* ports; tls 0: none */
};

struct attack
{
    const char *kind;
    const char *title;
    const char *port; /* "tcp", "ws" or "tls" */
    long most;        /* attackers at a time */
    long total;       /* connections ever; 0: who is cut comes again */
    int processes;
};

struct lab
{
    int tally_fd;
    struct tally *tally;
    struct lab_server server;
    zt_child_t good;
    zt_child_t crowds[LAB_CROWDS];
    int crowds_count;
};

/* What the server tells of itself: its statistics, as NAME=VALUE. */
struct told
{
    char line[4096];
};

/* The folder of the programs, from the path of this one. */
void lab_find_programs (void);

/* first: it runs before all others of the machine (SCHED_RR, for which root is needed); server_args: of attack_server, up to NULL. False: the
 * library has no such profile. */
bool lab_serve (struct lab_server *server, bool first, const char *const server_args[]);
void lab_stop (struct lab_server *server);
struct told lab_ask (struct lab_server *server);
/* Connections that ended for a reason, by its name in server.c. */
uint64_t lab_ended_by (struct lab_server *server, const char *reason);

/* The shared memory; then clients that are good to the server, all connected. */
void lab_open (struct lab *lab);
void lab_close (struct lab *lab);
void lab_good (struct lab *lab, int clients, int pace_ms, int new_each_s, bool first);
/* They send nothing more, and every echo has come; their process has ended. */
void lab_good_end (struct lab *lab);

/* The attackers begin. nice: as nice(1) has it. */
void lab_attack (struct lab *lab, const struct lab_server *server, const struct attack *attack, int nice);
void lab_attack_end (struct lab *lab);

/* Of a process */
double lab_resident_mb (pid_t pid);
double lab_highest_mb (pid_t pid); /* since lab_forget_highest */
void lab_forget_highest (pid_t pid);
long lab_descriptors (pid_t pid);
/* Those of them that are sockets: io threads have others, and come as they are needed. */
long lab_sockets (pid_t pid);
double lab_cpu_s (pid_t pid);
/* MB that the system has for data of TCP connections. */
double lab_tcp_mb (void);

#endif
