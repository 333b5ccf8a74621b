/* SPDX-License-Identifier: MPL-2.0 */
/* Errors and the version: the part that needs no state of the library. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strerror_r that returns the text */
#endif

#include <string.h>

#include "zlink.h"

void zlink_version (int *major, int *minor, int *patch)
{
    if (major)
        *major = ZLINK_VERSION_MAJOR;
    if (minor)
        *minor = ZLINK_VERSION_MINOR;
    if (patch)
        *patch = ZLINK_VERSION_PATCH;
}

int zlink_errno (void)
{
    return errno;
}

/* strerror_r writes into the buffer only for numbers that it does not know;
 * all other texts are static, and so is what we return in every case. */
static const char *system_text (int errnum)
{
    char unknown[64];
    const char *text = strerror_r (errnum, unknown, sizeof unknown);

    return text == unknown ? "Unknown error" : text;
}

const char *zlink_strerror (int errnum)
{
    switch (errnum) {
        case EFSM:
            return "Operation cannot be accomplished in current state";
        case ENOCOMPATPROTO:
            return "The protocol is not compatible with the socket type";
        case ETERM:
            return "Context was terminated";
        case EMTHREAD:
            return "No thread available";
        default:
            return system_text (errnum);
    }
}
