/* SPDX-License-Identifier: MPL-2.0 */

//go:build zlink_cover

/* In a build that counts what runs (./build.sh cover): writes what Go has counted when
 * the process ends. The counters of the C half are written by gcc's own destructor. */
#include "internal.h"
#include "start.h"
#include "_cgo_export.h"

__attribute__ ((destructor)) static void write_coverage (void)
{
    if (zl_started () && zl_enter ())
        ZL_GO (write_coverage) ();
}
