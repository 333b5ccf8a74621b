/* SPDX-License-Identifier: MPL-2.0 */
/* SHA-1, which the WebSocket handshake asks for. */
#ifndef SHA1_H_INCLUDED
#define SHA1_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

#define SHA1_SIZE 20

/* len: up to SHA1_MAX_INPUT bytes, which is enough for a handshake's key. */
#define SHA1_MAX_INPUT 119

void sha1 (const uint8_t *bytes, size_t len, uint8_t digest[SHA1_SIZE]);

#endif
