/* SPDX-License-Identifier: MPL-2.0 */
#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

long process_raise_descriptor_limit (void)
{
    struct rlimit limit;
    if (getrlimit (RLIMIT_NOFILE, &limit) != 0)
        return -1;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit (RLIMIT_NOFILE, &limit) != 0)
        return -1;
    return (long) limit.rlim_cur;
}

static FILE *open_proc (long pid, const char *name)
{
    char path[64];
    snprintf (path, sizeof path, "/proc/%ld/%s", pid ? pid : (long) getpid (),
              name);
    return fopen (path, "re");
}

long process_status_kb (long pid, const char *field)
{
    FILE *file = open_proc (pid, "status");
    if (!file)
        return -1;
    char line[256];
    long kb = -1;
    size_t len = strlen (field);
    while (kb < 0 && fgets (line, sizeof line, file))
        if (strncmp (line, field, len) == 0)
            sscanf (line + len, "%ld", &kb);
    fclose (file);
    return kb;
}

double process_cpu_seconds (long pid)
{
    FILE *file = open_proc (pid, "stat");
    if (!file)
        return -1;
    char line[1024];
    char *got = fgets (line, sizeof line, file);
    fclose (file);
    /* The program's name is in parentheses and may hold anything, so count
     * fields from the last one. */
    char *fields = got ? strrchr (line, ')') : NULL;
    unsigned long user, system;
    if (!fields
        || sscanf (fields + 1,
                   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                   &user, &system)
             != 2)
        return -1;
    return (double) (user + system) / (double) sysconf (_SC_CLK_TCK);
}

long process_descriptors (void)
{
    DIR *dir = opendir ("/proc/self/fd");
    if (!dir)
        return -1;
    long count = -1; /* the directory's own descriptor is one of the entries */
    for (struct dirent *entry; (entry = readdir (dir)) != NULL;)
        if (entry->d_name[0] != '.')
            count++;
    closedir (dir);
    return count;
}
