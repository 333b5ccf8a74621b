/* SPDX-License-Identifier: MPL-2.0 */
/* The server's side of a WebSocket for bad_server, blocking, with faults. */
#ifndef SCENARIO_BAD_WS_H
#define SCENARIO_BAD_WS_H

#include "websocket.h"

enum ws_fault
{
    WS_FAULT_NONE,
    WS_FAULT_SPLIT,      /* none: messages in odd pieces, with pings between */
    WS_FAULT_REFUSES,    /* the handshake is answered with 400 */
    WS_FAULT_UPGRADE,    /* … with an upgrade to something else */
    WS_FAULT_ACCEPT,     /* … with a wrong key */
    WS_FAULT_MUTE,       /* … with nothing */
    WS_FAULT_MASKED,     /* the frame is masked, as only clients do */
    WS_FAULT_TEXT,       /* a text message */
    WS_FAULT_OPCODE,     /* an unknown opcode */
    WS_FAULT_STRAY,      /* a continuation of nothing */
    WS_FAULT_RESERVED,   /* a reserved bit is set */
    WS_FAULT_LONG_PING,  /* a control frame of 126 bytes */
    WS_FAULT_PART_PING,  /* a fragmented control frame */
    WS_FAULT_CLOSE       /* a close frame */
};

struct bad_ws
{
    int fd;
    struct websocket_header frame; /* whose payload is being read */
    uint64_t done;                 /* bytes read of it */
    unsigned pings, pongs;
};

/* Answers the client's request. False: it is over. */
bool bad_ws_accept (struct bad_ws *ws, enum ws_fault fault);

/* Reads len bytes of the stream. False: it is over. */
bool bad_ws_read (struct bad_ws *ws, void *bytes, size_t len);

/* Writes bytes with this fault. */
void bad_ws_write (struct bad_ws *ws,
                   enum ws_fault fault,
                   const void *bytes,
                   size_t len);

#endif
