/* SPDX-License-Identifier: MPL-2.0 */
/* Address families: a system without IPv6, which a filter of system calls plays,
 * and peers whose address needs a zone. */
#include "ztest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

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

#define LINK_LOCAL "fe80::1"
#define OWN_NETWORK "ZT_OWN_NETWORK"

/* Binds to the address. The kernel takes it into use only a little after it was set. */
static bool in_use (int fd, const struct in6_addr *address)
{
    struct sockaddr_in6 at = {
      .sin6_family = AF_INET6, .sin6_addr = *address, .sin6_scope_id = 1};
    return bind (fd, (struct sockaddr *) &at, sizeof at) == 0 || errno != EADDRNOTAVAIL;
}

/* A network of this process's own, whose loopback has a link-local address. */
static bool own_network (void)
{
    struct ifreq up = {.ifr_name = "lo"};
    struct in6_ifreq
    {
        struct in6_addr address;
        uint32_t prefix;
        int index;
    } six = {.prefix = 64, .index = 1};
    if (unshare (geteuid () == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    CHECK_EQ (inet_pton (AF_INET6, LINK_LOCAL, &six.address), 1);
    up.ifr_flags = IFF_UP;
    int fd = socket (AF_INET6, SOCK_DGRAM, 0);
    bool done = fd >= 0 && ioctl (fd, SIOCSIFFLAGS, &up) == 0
                && ioctl (fd, SIOCSIFADDR, &six) == 0;
    if (done)
        ZT_UNTIL (in_use (fd, &six.address));
    close (fd);
    return done;
}

static void zone_of_a_link_local_peer (void)
{
    if (!getenv (OWN_NETWORK)) {
        zt_skip ("no network of its own with a link-local address");
        return;
    }
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *client = zt_socket (ctx);
    char endpoint[128];
    zlink_msg_t msg;
    size_t size = sizeof endpoint;
    zt_set_int (server, ZLINK_IPV6, 1);
    zt_set_int (client, ZLINK_IPV6, 1);
    CHECK_OK (zlink_bind (server, "tcp://[" LINK_LOCAL "%lo]:*"));
    CHECK_OK (zlink_getsockopt (server, ZLINK_LAST_ENDPOINT, endpoint, &size));
    CHECK_OK (zlink_connect (client, endpoint));
    CHECK_OK (zlink_msg_init (&msg));
    CHECK_EQ (zlink_msg_recv (&msg, server, 0), 4);
    CHECK_STR (zlink_msg_gets (&msg, "Peer-Address"), LINK_LOCAL "%1");
    CHECK_STR (zlink_msg_gets (&msg, "Peer-Address"), LINK_LOCAL "%1");
    CHECK_OK (zlink_msg_close (&msg));
    zt_close (client);
    zt_close (server);
    zt_term (ctx);
}

/* The last case: the filter stays. */
static void every_address_without_ipv6 (void)
{
    if (!forget_ipv6 ()) {
        zt_skip ("no filter of system calls here (%s)", strerror (errno));
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

/* The library's threads keep the network in which the program was started. */
int main (int argc, char **argv)
{
    if (!getenv (OWN_NETWORK) && own_network ()) {
        CHECK_OK (setenv (OWN_NETWORK, "1", 1));
        execv ("/proc/self/exe", argv);
    }
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
