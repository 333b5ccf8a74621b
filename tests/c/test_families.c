/* SPDX-License-Identifier: MPL-2.0 */
/* Address families: a system without IPv6, which a filter of system calls plays,
 * and peers whose address needs a zone. */
#include "ztest.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* From here on socket (AF_INET6, …) fails with EAFNOSUPPORT in this process. */
static bool forget_ipv6 (void)
{
    struct sock_filter code[] = {
      BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
      BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
      BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, args)),
      BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
      BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
      BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    return prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
           && syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                       SECCOMP_FILTER_FLAG_TSYNC, &filter)
                == 0;
}

static void zone_of_a_link_local_peer (void)
{
    struct ifaddrs *all, *a;
    char host[INET6_ADDRSTRLEN], endpoint[128], want[128];
    CHECK_OK (getifaddrs (&all));
    for (a = all; a; a = a->ifa_next)
        if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET6
            && IN6_IS_ADDR_LINKLOCAL (
              &((struct sockaddr_in6 *) a->ifa_addr)->sin6_addr))
            break;
    if (!a) {
        printf ("skipped: no interface here has a link-local address\n");
        freeifaddrs (all);
        return;
    }
    unsigned zone = if_nametoindex (a->ifa_name);
    CHECK (inet_ntop (AF_INET6, &((struct sockaddr_in6 *) a->ifa_addr)->sin6_addr,
                      host, sizeof host)
           != NULL);
    snprintf (want, sizeof want, "%s%%%u", host, zone);
    freeifaddrs (all);

    void *ctx = zt_ctx (), *server = zt_socket (ctx), *client = zt_socket (ctx);
    zlink_msg_t msg;
    size_t size = sizeof endpoint;
    zt_set_int (server, ZLINK_IPV6, 1);
    zt_set_int (client, ZLINK_IPV6, 1);
    snprintf (endpoint, sizeof endpoint, "tcp://[%s]:*", want);
    CHECK_OK (zlink_bind (server, endpoint));
    CHECK_OK (zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size));
    CHECK_OK (zlink_connect (client, endpoint));
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&msg, server, 0), 4);
    CHECK_STR (zlink_msg_gets (&msg, "Peer-Address"), want);
    CHECK_STR (zlink_msg_gets (&msg, "Peer-Address"), want);
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

/* The last case: the filter stays. */
static void every_address_without_ipv6 (void)
{
    if (!forget_ipv6 ()) {
        printf ("skipped: no filter of system calls here (%s)\n", strerror (errno));
        return;
    }
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *client = zt_socket (ctx);
    zlink_routing_id_t id;
    char endpoint[128];
    size_t size = sizeof endpoint;
    zt_set_int (server, ZLINK_IPV6, 1);
    CHECK_FAIL (zlink_bind (server, "tcp://[::]:*"), EAFNOSUPPORT);
    CHECK_OK (zlink_bind (server, "tcp://*:*"));
    CHECK_OK (zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size));
    CHECK (strncmp (endpoint, "tcp://0.0.0.0:", 14) == 0);
    zt_connect (client, atoi (strrchr (endpoint, ':') + 1));
    zt_expect_connect (server, &id);
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

static const zt_case_t cases[] = {
  ZT_CASE (zone_of_a_link_local_peer),
  ZT_CASE (every_address_without_ipv6),
};

ZT_MAIN (cases)
