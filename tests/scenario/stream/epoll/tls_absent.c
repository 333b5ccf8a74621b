/* SPDX-License-Identifier: MPL-2.0 */
/* In the place of tls.c where there is no OpenSSL to build with. */
#include "protocol.h"

#include <stdio.h>

const struct protocol *tls_protocol (const struct protocol *above,
                                     const char *certificate,
                                     const char *key,
                                     size_t buffer_size)
{
    (void) above, (void) certificate, (void) key, (void) buffer_size;
    fprintf (stderr, "built without OpenSSL: no tls and wss\n");
    return NULL;
}
