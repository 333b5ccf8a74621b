/* SPDX-License-Identifier: MPL-2.0 */
/* What callers of old found here is in zlink.h. */
#ifndef ZLINK_UTILS_H_INCLUDED
#define ZLINK_UTILS_H_INCLUDED

#include <zlink.h>

#endif
