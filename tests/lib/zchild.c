/* SPDX-License-Identifier: MPL-2.0 */
#include "ztest.h"
#include "zchild.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

bool zt_has_program (const char *name)
{
    char file[4096];
    const char *path = getenv ("PATH");
    for (const char *at = path ? path : ""; *at;) {
        size_t size = strcspn (at, ":");
        snprintf (file, sizeof file, "%.*s/%s", (int) size, at, name);
        if (access (file, X_OK) == 0)
            return true;
        at += size + (at[size] == ':');
    }
    printf ("skipped: there is no %s here\n", name);
    return false;
}

zt_child_t zt_spawn (const char *const argv[])
{
    zt_child_t child;
    int ends[2];
    CHECK_OK (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    fflush (NULL);
    child.pid = fork ();
    CHECK (child.pid >= 0);
    if (child.pid == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        dup2 (ends[1], 0);
        dup2 (ends[1], 1);
        execvp (argv[0], (char *const *) argv);
        perror (argv[0]);
        _exit (127);
    }
    close (ends[1]);
    child.fd = ends[0];
    return child;
}

int zt_wait (zt_child_t *child)
{
    int status;
    close (child->fd);
    while (waitpid (child->pid, &status, 0) == -1)
        CHECK_EQ (errno, EINTR);
    return WIFEXITED (status) ? WEXITSTATUS (status)
                              : 128 + WTERMSIG (status);
}

int zt_finish (zt_child_t *child)
{
    char rest[4096];
    shutdown (child->fd, SHUT_WR);
    while (read (child->fd, rest, sizeof rest) > 0) {
    }
    return zt_wait (child);
}

void zt_kill (zt_child_t *child)
{
    kill (child->pid, SIGKILL);
    zt_wait (child);
}

int zt_run (const char *const argv[], char *output, size_t cap)
{
    size_t size = 0;
    ssize_t n;
    zt_child_t child = zt_spawn (argv);
    shutdown (child.fd, SHUT_WR);
    while (size + 1 < cap
           && (n = read (child.fd, output + size, cap - 1 - size)) > 0)
        size += (size_t) n;
    output[size] = '\0';
    return zt_finish (&child);
}
