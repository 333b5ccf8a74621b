/* SPDX-License-Identifier: MPL-2.0 */
/* What a server can get wrong below the messages. The numbers go on where those
 * of errno end, so that one variable holds either. */
#ifndef SCENARIO_PROTOCOL_ERROR_H
#define SCENARIO_PROTOCOL_ERROR_H

enum protocol_error
{
    PROTOCOL_ERROR_FIRST = 200,
    TLS_CERTIFICATE = PROTOCOL_ERROR_FIRST, /* does not verify */
    TLS_FAILED,           /* handshake or record that OpenSSL refuses */
    TLS_CLOSED,           /* by a close_notify */
    WS_REFUSED,           /* the answer is no 101, or no HTTP */
    WS_BAD_UPGRADE,       /* a 101 that upgrades to something else */
    WS_BAD_ACCEPT,        /* Sec-WebSocket-Accept does not fit the key */
    WS_MASKED_FRAME,      /* only clients mask */
    WS_BAD_OPCODE,        /* unknown, text, or out of sequence */
    WS_RESERVED_BITS,     /* no extension was agreed on */
    WS_BAD_CONTROL,       /* fragmented, or longer than 125 bytes */
    WS_CLOSED,            /* by a close frame */
    PROTOCOL_ERROR_END
};

/* "ws_bad_accept"; NULL when it is no protocol error. */
const char *protocol_error_name (int error);

#endif
