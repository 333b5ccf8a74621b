/* SPDX-License-Identifier: MPL-2.0 */
/* The neutral load client: one thread, epoll, no zlink inside. Exit code: 0
 * passed, 1 failed, 2 wrong use. */
#include "connection.h"
#include "layer.h"
#include "options.h"
#include "process.h"
#include "report.h"
#include "run.h"

#include <stdio.h>

/* Descriptors besides the connections' own. */
#define OTHER_DESCRIPTORS 16

static bool run_with_connections (struct run *run)
{
    struct connections *connections = connections_new (run);
    if (!connections)
        return false;
    run_scenario (run);
    bool passed = report_run (run);
    connections_free (connections);
    return passed;
}

int main (int argc, char **argv)
{
    struct options options;
    enum settings_result settings = options_read (&options, argc, argv);
    if (settings != SETTINGS_OK)
        return settings == SETTINGS_HELP ? 0 : 2;

    const char *missing = layers_missing (options.transport);
    if (missing && !options.not_run) {
        fprintf (stderr, "TRANSPORT %s: %s\n", options.transport, missing);
        return 2;
    }

    static struct run run;
    if (run_init (&run, &options) != 0) {
        perror ("cannot prepare the run");
        return 1;
    }
    bool ok;
    if (options.not_run) {
        ok = report_not_run (&run);
    } else {
        long limit = process_raise_descriptor_limit ();
        if (limit < options.ccu + options.silent + OTHER_DESCRIPTORS)
            fprintf (stderr,
                     "warning: %ld descriptors allowed (ulimit -n), %ld "
                     "connections wanted\n",
                     limit, options.ccu + options.silent);
        ok = run_with_connections (&run);
    }
    run_free (&run);
    return ok ? 0 : 1;
}
