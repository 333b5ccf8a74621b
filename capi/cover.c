/* SPDX-License-Identifier: MPL-2.0 */

//go:build zlink_cover

/* For a build that counts what runs (./build.sh cover): writes Go's counters when the
 * process ends. gcc's own destructor writes the counters of the C half. */
#include "internal.h"
#include "start.h"
#include "_cgo_export.h"

__attribute__ ((destructor)) static void write_coverage (void)
{
    if (zl_started () && zl_enter ())
        ZL_GO (write_coverage) ();
}
