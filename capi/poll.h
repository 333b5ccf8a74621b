/* SPDX-License-Identifier: MPL-2.0 */
/* zlink_pollitem_t for Go, which must take the handle as a number: what is no
 * address must not lie in a pointer that Go's collector could meet. */
#ifndef ZLINK_POLL_H
#define ZLINK_POLL_H

#include <stdint.h>

typedef struct zl_pollitem
{
    uintptr_t socket;
    int fd;
    short events;
    short revents;
} zl_pollitem;

#endif
