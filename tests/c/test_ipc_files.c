/* SPDX-License-Identifier: MPL-2.0 */
/* Who has the file of an ipc path: servers that race for one, and a process that
 * goes elsewhere. */
#include "ztest.h"
#include "zipc.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define ROUNDS (1500 / ZT_SCALE)

/* What two servers and the test share, also as processes. */
typedef struct race_t
{
    pthread_barrier_t barrier; /* of the three of them */
    atomic_bool bound[2];
    atomic_bool over;
} race_t;

typedef struct racer_t
{
    race_t *race;
    int index;
} racer_t;

static race_t *map_race (int fd)
{
    race_t *race =
      mmap (NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK (race != MAP_FAILED);
    return race;
}

/* Binds whenever the others are ready, and unbinds when they have looked. */
static void *run_racer (void *arg)
{
    const racer_t *r = arg;
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    for (;;) {
        pthread_barrier_wait (&r->race->barrier);
        if (atomic_load (&r->race->over))
            break;
        bool bound = zlink_bind (s, endpoint) == 0;
        CHECK (bound || errno == EADDRINUSE);
        atomic_store (&r->race->bound[r->index], bound);
        pthread_barrier_wait (&r->race->barrier);
        pthread_barrier_wait (&r->race->barrier);
        if (bound)
            CHECK_OK (zlink_unbind (s, endpoint));
        pthread_barrier_wait (&r->race->barrier);
    }
    zt_close (s);
    zt_term (ctx);
    return NULL;
}

static pid_t spawn_racer (int memory, int index)
{
    extern char **environ;
    pid_t pid;
    char number[2] = {(char) ('0' + index), 0};
    char *argv[] = {"test_ipc_files", "--race", path, number, NULL};
    posix_spawn_file_actions_t files;
    CHECK_OK (posix_spawn_file_actions_init (&files));
    CHECK_OK (posix_spawn_file_actions_adddup2 (&files, memory, 0));
    CHECK_OK (
      posix_spawn (&pid, "/proc/self/exe", &files, NULL, argv, environ));
    CHECK_OK (posix_spawn_file_actions_destroy (&files));
    return pid;
}

/* Two servers find the same stale file: one gets the path, and clients reach it. */
static void run_rounds (race_t *race)
{
    for (int i = 0; i < ROUNDS; i++) {
        close (server_of (path));
        pthread_barrier_wait (&race->barrier);
        pthread_barrier_wait (&race->barrier);
        CHECK_EQ (atomic_load (&race->bound[0]) + atomic_load (&race->bound[1]),
                  1);
        int fd = client (path);
        CHECK (fd >= 0);
        close (fd);
        pthread_barrier_wait (&race->barrier);
        pthread_barrier_wait (&race->barrier);
        CHECK (!exists (path));
    }
    atomic_store (&race->over, true);
    pthread_barrier_wait (&race->barrier);
}

static void run_race (bool processes)
{
    pthread_t threads[2];
    pid_t pids[2];
    pthread_barrierattr_t shared;
    int status, memory = memfd_create ("race", MFD_CLOEXEC);
    make_folder ();
    CHECK_OK (ftruncate (memory, sizeof (race_t)));
    race_t *race = map_race (memory);
    racer_t racers[2] = {{race, 0}, {race, 1}};
    CHECK_OK (pthread_barrierattr_init (&shared));
    CHECK_OK (pthread_barrierattr_setpshared (&shared, PTHREAD_PROCESS_SHARED));
    CHECK_OK (pthread_barrier_init (&race->barrier, &shared, 3));
    for (int i = 0; i < 2; i++) {
        if (processes)
            pids[i] = spawn_racer (memory, i);
        else
            threads[i] = zt_thread (run_racer, &racers[i]);
    }
    run_rounds (race);
    for (int i = 0; i < 2; i++) {
        if (processes) {
            CHECK_EQ (waitpid (pids[i], &status, 0), pids[i]);
            CHECK_EQ (status, 0);
        } else
            zt_join (threads[i]);
    }
    munmap (race, sizeof *race);
    close (memory);
    remove_folder ();
}

static void one_of_two_threads (void)
{
    run_race (false);
}

static void one_of_two_processes (void)
{
    run_race (true);
}

/* The file is removed from where it was made, also when the process has gone
 * elsewhere, and when the whole path could not be said. */
static void relative_path_after_chdir (void)
{
    static const char name[] =
      "a-name-that-is-long-enough-to-make-the-whole-path-too-long-for-an-"
      "address-of-a-socket-file";
    const char *names[] = {"server", name};
    make_folder ();
    char deep[128], file[256], text[256];
    snprintf (deep, sizeof deep, "%s/a-folder-below-the-other", folder);
    CHECK_OK (mkdir (deep, 0700));
    for (int i = 0; i < 2; i++) {
        void *ctx = zt_ctx (), *s = zt_socket (ctx);
        snprintf (text, sizeof text, "ipc://%s", names[i]);
        snprintf (file, sizeof file, "%s/%s", deep, names[i]);
        for (int close_it = 0; close_it < 2; close_it++) {
            CHECK_OK (chdir (deep));
            CHECK_OK (zlink_bind (s, text));
            CHECK_STR (last_endpoint (s), text);
            CHECK_OK (chdir ("/"));
            CHECK (exists (file));
            if (!close_it)
                CHECK_OK (zlink_unbind (s, text));
        }
        zt_close (s);
        zt_term (ctx);
        CHECK (!exists (file));
    }
    CHECK_OK (rmdir (deep));
    remove_folder ();
}

/* The folder itself may move. */
static void folder_moves (void)
{
    char moved[128], file[160];
    make_folder ();
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    snprintf (moved, sizeof moved, "%s-moved", folder);
    snprintf (file, sizeof file, "%s/server", moved);
    CHECK_OK (zlink_bind (s, endpoint));
    CHECK_OK (rename (folder, moved));
    CHECK (exists (file));
    zt_close (s);
    zt_term (ctx);
    CHECK_OK (rmdir (moved)); /* it is empty */
}

/* A relative path to connect to stays what it was at the call. */
static void redial_after_chdir (void)
{
    zlink_routing_id_t at_server, at_client;
    make_folder ();
    void *ctx = zt_ctx (), *server = zt_socket (ctx), *s = zt_socket (ctx);
    zt_set_int (s, ZLINK_RECONNECT_IVL, 10);
    CHECK_OK (chdir (folder));
    CHECK_OK (zlink_connect (s, "ipc://server"));
    CHECK_OK (chdir ("/"));
    CHECK_OK (zlink_bind (server, endpoint));
    zt_expect_connect (s, &at_client);
    zt_expect_connect (server, &at_server);
    zt_send (server, &at_server, "\0", 1);
    zt_expect_disconnect (s, &at_client);
    zt_expect_connect (s, &at_client);
    CHECK_OK (zlink_disconnect (s, "ipc://server"));
    zt_close (s);
    zt_close (server);
    zt_term (ctx);
    remove_folder ();
}

/* A stranger that keeps the folder locked delays bind and unbind, and no more. */
static void locked_folder (void)
{
    make_folder ();
    void *ctx = zt_ctx (), *s = zt_socket (ctx);
    CHECK_OK (zlink_bind (s, endpoint));
    int fd = open (folder, O_RDONLY | O_DIRECTORY);
    CHECK_OK (flock (fd, LOCK_EX));
    CHECK_OK (zlink_unbind (s, endpoint));
    CHECK (!exists (path));
    CHECK_OK (zlink_bind (s, endpoint));
    close (fd);
    zt_close (s);
    zt_term (ctx);
    remove_folder ();
}

static const zt_case_t cases[] = {
  ZT_CASE (one_of_two_threads),
  ZT_CASE (one_of_two_processes),
  ZT_CASE (relative_path_after_chdir),
  ZT_CASE (folder_moves),
  ZT_CASE (redial_after_chdir),
  ZT_CASE (locked_folder),
};

int main (int argc, char **argv)
{
    if (argc == 4 && strcmp (argv[1], "--race") == 0) {
        racer_t racer = {map_race (0), argv[3][0] - '0'};
        snprintf (endpoint, sizeof endpoint, "ipc://%s", argv[2]);
        run_racer (&racer);
        return 0;
    }
    return zt_main (argc, argv, cases, sizeof cases / sizeof *cases);
}
