/* SPDX-License-Identifier: MPL-2.0 */
/* HAProxy and nginx in front of a server, which tell it the clients' addresses by the PROXY
 * protocol. */
#include "ztest.h"
#include "zfast.h"
#include "zws.h"
#include "ztls.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CLIENT "127.0.0.77" /* other than that of the proxy */
#define CHECKS 5

#define LISTED                                                                            \
    "Proxy-Address Proxy-Destination Proxy-Authority Proxy-TLS-Version Proxy-TLS-Cipher " \
    "Proxy-TLS-Peer-CN WS-Path"

typedef struct front_t
{
    void *ctx, *s;
    int server;    /* the port of s */
    int front;     /* that of the proxy */
    char file[64]; /* its configuration */
    zt_child_t proxy;
} front_t;

/* A server of this transport that proxies on this machine are in front of. */
static front_t behind (const char *endpoint)
{
    front_t f = {.ctx = zt_ctx ()};
    f.s = zt_fast_socket (f.ctx);
    zt_set_text (f.s, ZLINK_STREAM_PROPERTIES, LISTED);
    zt_set_text (f.s, ZLINK_STREAM_PROXY_FROM, "127.0.0.1");
    zt_set_text (f.s, ZLINK_STREAM_WS_ORIGINS, "null"); /* that of zws_request */
    f.server = zt_bind_to (f.s, endpoint);
    f.front = zt_free_port ();
    return f;
}

/* Writes a file of this process, whose name is in f->file. */
static void write_file (front_t *f, const char *text)
{
    snprintf (f->file, sizeof f->file, "/tmp/zlink-front-XXXXXX");
    int fd = mkstemp (f->file);
    CHECK (fd >= 0);
    CHECK_EQ (write (fd, text, strlen (text)), strlen (text));
    close (fd);
}

/* Waits until the proxy listens; what it makes of that connection is its own matter. */
static void await_front (front_t *f)
{
    int fd;
    ZT_UNTIL ((fd = zt_try_client (f->front)) >= 0);
    close (fd);
}

/* HAProxy with these words behind "bind" and behind "server". */
static void haproxy (front_t *f, const char *bind, const char *server)
{
    char text[2048];
    snprintf (text, sizeof text,
              "defaults\n mode tcp\n timeout connect 20s\n timeout client 60s\n"
              " timeout server 60s\n"
              "frontend f\n bind 127.0.0.1:%d %s\n default_backend b\n"
              "backend b\n server s 127.0.0.1:%d %s\n",
              f->front, bind, f->server, server);
    write_file (f, text);
    f->proxy = zt_spawn (ZT_ARGV ("haproxy", "-db", "-f", f->file));
}

static void nginx (front_t *f)
{
    char text[2048];
    snprintf (text, sizeof text,
              "daemon off; master_process off; pid /dev/null; error_log stderr;\n"
              "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
              "events {}\n"
              "stream { server { listen 127.0.0.1:%d; proxy_pass 127.0.0.1:%d;"
              " proxy_protocol on; } }\n",
              f->front, f->server);
    write_file (f, text);
    f->proxy = zt_spawn (ZT_ARGV ("nginx", "-c", f->file));
}

static void end (front_t *f)
{
    zt_kill (&f->proxy);
    unlink (f->file);
    zt_close (f->s);
    zt_term (f->ctx);
}

/* Connects to a port from CLIENT. */
static int client_of (int port, char own_port[8])
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl (INADDR_LOOPBACK)}};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl (0x7F00004D)}};
    socklen_t size = sizeof own;
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    to.sin_port = htons ((uint16_t) port);
    CHECK (fd >= 0);
    CHECK_OK (bind (fd, (struct sockaddr *) &own, sizeof own));
    CHECK_OK (connect (fd, (struct sockaddr *) &to, sizeof to));
    CHECK_OK (getsockname (fd, (struct sockaddr *) &own, &size));
    snprintf (own_port, 8, "%d", ntohs (own.sin_port));
    return fd;
}

/* The next peer that is not the one of await_front, which ended at once. */
static zlink_msg_t next_peer (void *s, const char *address)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    do
        CHECK_EQ (zlink_msg_recv (&msg, s, 0), 0);
    while (zlink_msg_get (&msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_CONNECTED
           || strcmp (zlink_msg_gets (&msg, "Peer-Address"), address) != 0);
    return msg;
}

/* The next message of the peer, whatever happens to others. */
static void expect_from (void *s, uint32_t peer, const char *body)
{
    zlink_msg_t msg;
    CHECK_OK (zlink_msg_init (&msg));
    do
        CHECK (zlink_msg_recv (&msg, s, 0) >= 0);
    while (zlink_msg_routing_id (&msg) != peer);
    CHECK_EQ (zlink_msg_size (&msg), strlen (body));
    CHECK_MEM (zlink_msg_data (&msg), body, strlen (body));
    CHECK_STR (zlink_msg_gets (&msg, "Peer-Address"), CLIENT);
    CHECK_OK (zlink_msg_close (&msg));
}

/* A client is known by its own address, and exchanges messages. */
static void expect_client (front_t *f)
{
    char port[8], reply[4];
    await_front (f);
    int fd = client_of (f->front, port);
    zt_write_frame (fd, "hello", 5);
    zlink_msg_t up = next_peer (f->s, CLIENT);
    uint32_t peer = zlink_msg_routing_id (&up);
    CHECK_STR (zlink_msg_gets (&up, "Peer-Port"), port);
    CHECK_STR (zlink_msg_gets (&up, "Proxy-Address"), "127.0.0.1");
    CHECK (strncmp (zlink_msg_gets (&up, "Proxy-Destination"), "127.0.0.1:", 10) == 0);
    CHECK_EQ (atoi (zlink_msg_gets (&up, "Proxy-Destination") + 10), f->front);
    CHECK_OK (zlink_msg_close (&up));
    expect_from (f->s, peer, "hello");
    zt_fast_send (f->s, peer, "back", 4);
    CHECK_EQ (zt_read_frame (fd, reply, sizeof reply), 4);
    CHECK_MEM (reply, "back", 4);
    close (fd);
}

static void haproxy_in_both_versions (void)
{
    static const char *const versions[] = {"send-proxy", "send-proxy-v2",
                                           "send-proxy-v2 proxy-v2-options crc32c,unique-id"};
    if (!zt_has_program ("haproxy"))
        return;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        printf ("%s\n", versions[i]);
        front_t f = behind ("tcp://127.0.0.1:*");
        haproxy (&f, "", versions[i]);
        expect_client (&f);
        end (&f);
    }
}

static void nginx_in_front (void)
{
    if (!zt_has_program ("nginx") || access ("/usr/lib/nginx/modules/ngx_stream_module.so", R_OK) != 0) {
        printf ("skipped: there is no nginx with its module stream here\n");
        return;
    }
    front_t f = behind ("tcp://127.0.0.1:*");
    nginx (&f);
    expect_client (&f);
    end (&f);
}

/* A client of ws comes through the proxy, with the path that it asks for. */
static void expect_page (const front_t *f)
{
    char port[8], header[ZWS_HEADER_CAP];
    int fd = client_of (f->front, port);
    const char *request = zws_request ("/chat");
    zt_write (fd, request, strlen (request));
    zws_read_header (fd, header);
    CHECK (strncmp (header, "HTTP/1.1 101 ", 13) == 0);
    zlink_msg_t up = next_peer (f->s, CLIENT);
    CHECK_STR (zlink_msg_gets (&up, "WS-Path"), "/chat");
    CHECK_OK (zlink_msg_close (&up));
    close (fd);
}

static void before_websocket (void)
{
    if (!zt_has_program ("haproxy"))
        return;
    front_t f = behind ("ws://127.0.0.1:*/chat");
    haproxy (&f, "", "send-proxy-v2");
    await_front (&f);
    expect_page (&f);
    end (&f);
}

/* Clients of tcp and ws come to one port through one proxy. */
static void before_any (void)
{
    if (!zt_has_program ("haproxy"))
        return;
    front_t f = behind ("any://127.0.0.1:*/chat");
    haproxy (&f, "", "send-proxy-v2");
    expect_client (&f);
    expect_page (&f);
    end (&f);
}

/* What HAProxy says of the client's TLS, which it ends. */
static void tls_of_haproxy (void)
{
    char bind[512], command[512], pem[64] = "/tmp/zlink-front-XXXXXX";
    if (!zt_has_program ("haproxy") || !zt_has_program ("openssl"))
        return;
    int fd = mkstemp (pem);
    CHECK (fd >= 0);
    close (fd);
    snprintf (command, sizeof command, "cat %s >%s", zt_cert ("server.pem"), pem);
    CHECK_OK (system (command));
    snprintf (command, sizeof command, "cat %s >>%s", zt_cert ("server.key"), pem);
    CHECK_OK (system (command));
    snprintf (bind, sizeof bind, "ssl crt %s ca-file %s verify optional", pem, zt_cert ("ca.pem"));
    front_t f = behind ("tcp://127.0.0.1:*");
    haproxy (&f, bind, "send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c");
    await_front (&f);
    zt_child_t client = zt_s_client (f.front, "-servername", "chat.example", "-cert",
                                     zt_cert ("client.pem"), "-key", zt_cert ("client.key"), NULL);
    zt_write_frame (client.fd, "hello", 5);
    zlink_msg_t up;
    do { /* await_front is one of 127.0.0.1, too, but without TLS */
        up = next_peer (f.s, "127.0.0.1");
        if (zlink_msg_gets (&up, "Proxy-TLS-Version"))
            break;
        CHECK_OK (zlink_msg_close (&up));
    } while (true);
    CHECK_STR (zlink_msg_gets (&up, "Proxy-TLS-Version"), "TLSv1.3");
    CHECK_STR (zlink_msg_gets (&up, "Proxy-TLS-Peer-CN"), "client");
    CHECK_STR (zlink_msg_gets (&up, "Proxy-Authority"), "chat.example");
    CHECK (zlink_msg_gets (&up, "Proxy-TLS-Cipher") != NULL);
    CHECK_OK (zlink_msg_close (&up));
    zt_kill (&client);
    end (&f);
    unlink (pem);
}

static uint64_t turned_away (void *s)
{
    zlink_stream_stats_t stats = {.size = sizeof stats};
    CHECK_OK (zlink_stream_stats (s, &stats));
    CHECK_EQ (stats.accepted, 0);
    return stats.turned_away;
}

/* HAProxy's checks do not become peers, in either version. */
static void health_checks (void)
{
    static const char *const versions[] = {"send-proxy check inter 20ms",
                                           "send-proxy-v2 check inter 20ms"};
    if (!zt_has_program ("haproxy"))
        return;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        front_t f = behind ("tcp://127.0.0.1:*");
        haproxy (&f, "", versions[i]);
        ZT_UNTIL (turned_away (f.s) >= CHECKS);
        end (&f);
    }
}

static const zt_case_t cases[] = {
  ZT_CASE (haproxy_in_both_versions),
  ZT_CASE (nginx_in_front),
  ZT_CASE (before_websocket),
  ZT_CASE (before_any),
  ZT_CASE (tls_of_haproxy),
  ZT_CASE (health_checks),
};

int main (int argc, char **argv)
{
    if (!zt_has_program ("haproxy") && !zt_has_program ("nginx"))
        return SKIPPED;
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
