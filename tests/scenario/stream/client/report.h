/* SPDX-License-Identifier: MPL-2.0 */
/* The RESULT and METRIC lines of a run, and its row in metrics.csv. */
#ifndef SCENARIO_REPORT_H
#define SCENARIO_REPORT_H

#include "run.h"

#include <stdbool.h>

/* Prints both lines to stdout and appends the row when options->csv is set.
 * Returns whether the run passed and the row was written. */
bool report_run (const struct run *run);

/* The same for a run that did not take place: options->not_run is its verdict
 * and options->reason says why. Returns whether the row was written. */
bool report_not_run (const struct run *run);

#endif
