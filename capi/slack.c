/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Go's monitor thread (sysmon) looks after processors whose thread is outside
 * Go. A C thread that drives a shard is outside Go most of the time, so sysmon
 * stays at its shortest sleep, 20 us, and takes a fifth of a core to find
 * nothing to do. Its sleeps end late by as much as its timer slack, which a
 * thread inherits from the one that starts it: so Go's runtime, which the
 * library's constructors start, is started with a long slack. Shards set theirs
 * back (core/engine/driver.go), and so does the loading thread here.
 */
#include <sys/prctl.h>

enum
{
    SLACK_NS = 5 * 1000 * 1000
};

static int loader_ns;

/* Before Go's constructor: those with a priority come first. */
__attribute__ ((constructor (101))) static void lengthen (void)
{
    loader_ns = prctl (PR_GET_TIMERSLACK);
    if (loader_ns > 0 && loader_ns < SLACK_NS)
        prctl (PR_SET_TIMERSLACK, SLACK_NS);
}

/* After it: Go's object is the first of the link. */
__attribute__ ((constructor)) static void restore (void)
{
    if (loader_ns > 0)
        prctl (PR_SET_TIMERSLACK, loader_ns);
}
