/* SPDX-License-Identifier: MPL-2.0 */
/* Thousands of client sockets in one process, each with one connection to one
 * server socket in another. The server is this program with "--server". */
#include "ztest.h"

#include <stdio.h>
#include <sys/wait.h>

#define CLIENTS (5000 / ZT_SCALE)
/* Descriptors that the clients may use beyond one each. */
#define SPARE_DESCRIPTORS 16
#define BODY_BYTES 100

/* Echoes until its standard input ends. */
static int serve (void)
{
    void *ctx = zt_ctx ();
    void *server = zt_socket (ctx);
    zlink_pollitem_t items[] = {
      {server, 0, ZLINK_POLLIN, 0},
      {NULL, STDIN_FILENO, ZLINK_POLLIN, 0},
    };
    zlink_routing_id_t id;
    uint8_t body[BODY_BYTES];
    int port = zt_bind (server);

    CHECK_EQ (write (STDOUT_FILENO, &port, sizeof port), sizeof port);
    for (;;) {
        CHECK (zlink_poll (items, 2, -1) > 0);
        if (items[0].revents) {
            size_t size = zt_recv (server, &id, body, sizeof body);
            if (size > 1)
                zt_send (server, &id, body, size);
        } else if (items[1].revents) {
            break;
        }
    }
    zt_close (server);
    zt_term (ctx);
    return EXIT_SUCCESS;
}

typedef struct server_t
{
    pid_t pid;
    int input;
    int port;
} server_t;

/* fork and exec, before this process uses the library. */
static server_t start_server (void)
{
    server_t server;
    int input[2], output[2];
    CHECK_OK (pipe (input));
    CHECK_OK (pipe (output));
    server.pid = fork ();
    CHECK (server.pid >= 0);
    if (server.pid == 0) {
        dup2 (input[0], STDIN_FILENO);
        dup2 (output[1], STDOUT_FILENO);
        close (input[0]);
        close (input[1]);
        close (output[0]);
        close (output[1]);
        execl ("/proc/self/exe", "test_many", "--server", (char *) NULL);
        _exit (127);
    }
    close (input[0]);
    close (output[1]);
    CHECK_EQ (read (output[0], &server.port, sizeof server.port),
              sizeof server.port);
    close (output[0]);
    server.input = input[1];
    return server;
}

static void stop_server (const server_t *server)
{
    int status;
    close (server->input);
    CHECK_EQ (waitpid (server->pid, &status, 0), server->pid);
    CHECK (WIFEXITED (status));
    CHECK_EQ (WEXITSTATUS (status), EXIT_SUCCESS);
}

static void many_sockets (void)
{
    static void *clients[CLIENTS];
    static zlink_routing_id_t ids[CLIENTS];
    uint8_t body[BODY_BYTES];
    server_t server = start_server ();
    void *ctx = zt_ctx ();

    if (ZT_SCALE > 1)
        printf ("scaled down to %d sockets\n", CLIENTS);
    CHECK_OK (zlink_ctx_set (ctx, ZLINK_MAX_SOCKETS, CLIENTS));
    size_t fds_before = zt_fd_count ();
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = zt_socket (ctx);
        zt_connect (clients[i], server.port);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        zt_expect_connect (clients[i], &ids[i]);
        zt_fill (body, sizeof body, i);
        zt_send (clients[i], &ids[i], body, sizeof body);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        zt_fill (body, sizeof body, i);
        zt_expect (clients[i], &ids[i], body, sizeof body);
    }
    size_t used = zt_fd_count () - fds_before;
    printf ("%zu descriptors for %d sockets\n", used, CLIENTS);
    CHECK_RANGE (used, CLIENTS, CLIENTS + SPARE_DESCRIPTORS);
    for (int i = 0; i < CLIENTS; i++)
        zt_close (clients[i]);
    zt_term (ctx);
    stop_server (&server);
}

static const zt_case_t cases[] = {
  ZT_CASE (many_sockets),
};

int main (int argc, char **argv)
{
    zt_raise_nofile ();
    if (argc == 2 && strcmp (argv[1], "--server") == 0)
        return serve ();
    return zt_main (argc, argv, cases, 1);
}
