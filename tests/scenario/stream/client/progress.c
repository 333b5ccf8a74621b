/* SPDX-License-Identifier: MPL-2.0 */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#define CLEAR_LINE "\r\033[K"
#define NS_PER_S 1e9

static const char *const phase_names[] = {"connect", "idle", "warm-up",
                                          "measure", "drain", "close"};

void progress_begin (struct progress *progress,
                     const char *before,
                     const char *stack,
                     const char *label,
                     uint32_t ccu)
{
    *progress = (struct progress) {.before = before ? before : "",
                                   .stack = stack,
                                   .label = label,
                                   .on = isatty (STDERR_FILENO) == 1,
                                   .ccu = ccu};
}

void progress_update (struct progress *progress,
                      enum phase phase,
                      uint64_t now_ns,
                      uint64_t phase_end_ns,
                      uint32_t open,
                      uint64_t echoes)
{
    if (!progress->on)
        return;
    double passed = (double) (now_ns - progress->shown_ns) / NS_PER_S;
    if (passed < 1)
        return;
    char left[32] = "";
    if (phase_end_ns > now_ns && phase != PHASE_CONNECT)
        snprintf (left, sizeof left, "  %.0f s left",
                  (double) (phase_end_ns - now_ns) / NS_PER_S);
    /* The first line has no earlier one to take a rate from. */
    double rate = progress->shown_ns
                    ? (double) (echoes - progress->shown_echoes) / passed
                    : 0;
    fprintf (stderr,
             CLEAR_LINE "%s%s%s-%s  %s%s  %u/%u connections  "
                        "%.0f msgs/s",
             progress->before, *progress->before ? "  " : "", progress->stack,
             progress->label, phase_names[phase], left, open, progress->ccu, rate);
    fflush (stderr);
    progress->shown_ns = now_ns;
    progress->shown_echoes = echoes;
}

void progress_end (struct progress *progress)
{
    if (progress->on)
        fputs (CLEAR_LINE, stderr);
}
