/* SPDX-License-Identifier: MPL-2.0 */
/* The client's side of a WebSocket (RFC 6455): what is sent becomes one masked
 * binary message, what comes may be split into messages and frames in any way. */
#include "layer.h"
#include "protocol_error.h"
#include "websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define MAX_HEAD 4096 /* bytes of the answer to the handshake */
#define HEAD_END "\r\n\r\n"

_Static_assert (LAYER_HEADROOM >= WEBSOCKET_MAX_HEADER, "a header fits");

struct shared
{
    const struct options *options;
    uint64_t random; /* the next mask */
    /* What answers the server: a request, or one control frame. */
    uint8_t answer[LAYER_HEADROOM + 512];
};

struct connection
{
    struct shared *shared;
    char *head; /* of the answer to the handshake; NULL: it is done */
    size_t head_len;
    char key[WEBSOCKET_KEY_TEXT];
    bool fragmented; /* a message's last frame is to come */
    uint8_t header_len;
    uint8_t header[WEBSOCKET_MAX_HEADER]; /* as far as it has come */
    struct websocket_header frame;        /* valid while left > 0 */
    uint64_t left;                        /* of the frame's payload */
    uint8_t control_len;
    uint8_t control[WEBSOCKET_MAX_CONTROL]; /* payload of a control frame */
};

/* --------------------------------------------------------------- life times */

static void *prepare (const struct options *options, size_t input_size)
{
    (void) input_size;
    struct shared *shared = calloc (1, sizeof *shared);
    if (!shared)
        return NULL;
    shared->options = options;
    if (getrandom (&shared->random, sizeof shared->random, 0) < 0
        || shared->random == 0)
        shared->random = 1;
    return shared;
}

static void *open_connection (void *state)
{
    struct connection *connection = calloc (1, sizeof *connection);
    if (connection)
        connection->shared = state;
    return connection;
}

static void close_connection (void *state)
{
    struct connection *connection = state;
    free (connection->head);
    free (connection);
}

/* Marsaglia's xorshift: masks differ from frame to frame. */
static uint64_t next_random (struct shared *shared)
{
    uint64_t x = shared->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return shared->random = x;
}

/* ------------------------------------------------------------------ sending */

static void frame_in_place (struct shared *shared,
                            enum websocket_opcode opcode,
                            struct span *data)
{
    struct websocket_header header = {
      .final = true, .masked = true, .opcode = opcode, .len = data->len};
    uint64_t random = next_random (shared);
    memcpy (header.mask, &random, sizeof header.mask);
    websocket_mask (data->bytes, data->len, header.mask);
    uint8_t bytes[WEBSOCKET_MAX_HEADER];
    size_t size = websocket_header_write (&header, bytes);
    data->bytes -= size;
    data->len += size;
    memcpy (data->bytes, bytes, size);
}

static int encode (void *state, struct span *data)
{
    struct connection *connection = state;
    frame_in_place (connection->shared, WEBSOCKET_BINARY, data);
    return 0;
}

static void answer_with (struct shared *shared,
                         enum websocket_opcode opcode,
                         const uint8_t *payload,
                         size_t len,
                         struct span *answer)
{
    *answer = (struct span) {shared->answer + LAYER_HEADROOM, len};
    memcpy (answer->bytes, payload, len);
    frame_in_place (shared, opcode, answer);
}

static void leave (void *state, struct span *last)
{
    static const uint8_t normal[] = {1000 >> 8, 1000 & 0xff};
    struct connection *connection = state;
    answer_with (connection->shared, WEBSOCKET_CLOSE, normal, sizeof normal,
                 last);
}

/* ---------------------------------------------------------------- handshake */

static int ask (struct connection *connection, struct span *answer)
{
    struct shared *shared = connection->shared;
    uint64_t random[2] = {next_random (shared), next_random (shared)};
    _Static_assert (sizeof random == WEBSOCKET_KEY_SIZE, "16 random bytes");
    websocket_key ((const uint8_t *) random, connection->key);
    connection->head = malloc (MAX_HEAD + 1);
    if (!connection->head)
        return ENOMEM;
    answer->bytes = shared->answer + LAYER_HEADROOM;
    answer->len = (size_t) snprintf (
      (char *) answer->bytes, sizeof shared->answer - LAYER_HEADROOM,
      "GET / HTTP/1.1\r\n"
      "Host: %.64s:%ld\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Key: %s\r\n"
      "Sec-WebSocket-Version: 13\r\n\r\n",
      shared->options->host, shared->options->port, connection->key);
    return 0;
}

static bool field_is (const char *head, const char *name, const char *value)
{
    size_t len;
    const char *found = websocket_http_field (head, name, &len);
    return found && len == strlen (value)
           && strncasecmp (found, value, len) == 0;
}

/* Keys are compared byte by byte: case tells them apart. */
static bool accepts (const char *head, const char *key)
{
    char wanted[WEBSOCKET_ACCEPT_TEXT];
    websocket_accept (key, wanted);
    size_t len;
    const char *found =
      websocket_http_field (head, "Sec-WebSocket-Accept", &len);
    return found && len == strlen (wanted) && memcmp (found, wanted, len) == 0;
}

static int check_head (const struct connection *connection)
{
    static const char status[] = "HTTP/1.1 101";
    const char *head = connection->head;
    size_t len;
    if (strncmp (head, status, sizeof status - 1) != 0)
        return WS_REFUSED;
    if (!field_is (head, "Upgrade", "websocket")
        || !field_is (head, "Connection", "Upgrade")
        || websocket_http_field (head, "Sec-WebSocket-Extensions", &len)
        || websocket_http_field (head, "Sec-WebSocket-Protocol", &len))
        return WS_BAD_UPGRADE;
    return accepts (head, connection->key) ? 0 : WS_BAD_ACCEPT;
}

static int handshake (void *state,
                      struct span *input,
                      struct span *answer,
                      bool *done)
{
    struct connection *connection = state;
    if (!connection->head)
        return ask (connection, answer);

    size_t before = connection->head_len;
    size_t len = input->len;
    if (len > MAX_HEAD - before)
        len = MAX_HEAD - before;
    memcpy (connection->head + before, input->bytes, len);
    connection->head_len += len;
    connection->head[connection->head_len] = '\0';

    char *end = strstr (connection->head, HEAD_END);
    if (!end)
        return connection->head_len < MAX_HEAD ? 0 : WS_REFUSED;
    end += strlen (HEAD_END);
    size_t used = (size_t) (end - connection->head) - before;
    input->bytes += used;
    input->len -= used;
    end[-2] = '\0'; /* the last field keeps the end of its line */
    int error = check_head (connection);
    free (connection->head);
    connection->head = NULL;
    *done = error == 0;
    return error;
}

/* ---------------------------------------------------------------- receiving */

static int check_header (struct connection *connection)
{
    const struct websocket_header *frame = &connection->frame;
    if (frame->reserved)
        return WS_RESERVED_BITS;
    if (frame->masked)
        return WS_MASKED_FRAME;
    switch (frame->opcode) {
        case WEBSOCKET_CLOSE:
        case WEBSOCKET_PING:
        case WEBSOCKET_PONG:
            return frame->final && frame->len <= WEBSOCKET_MAX_CONTROL
                     ? 0
                     : WS_BAD_CONTROL;
        case WEBSOCKET_BINARY:
        case WEBSOCKET_CONTINUATION:
            if (connection->fragmented
                != (frame->opcode == WEBSOCKET_CONTINUATION))
                return WS_BAD_OPCODE;
            connection->fragmented = !frame->final;
            return 0;
        default:
            return WS_BAD_OPCODE;
    }
}

/* Takes bytes of a header away from rest. False: more have to come. */
static bool take_header (struct connection *connection, struct span *rest)
{
    for (;;) {
        size_t size = websocket_header_size (connection->header,
                                             connection->header_len);
        if (connection->header_len >= 2 && connection->header_len == size)
            break;
        if (rest->len == 0)
            return false;
        connection->header[connection->header_len++] = *rest->bytes++;
        rest->len--;
    }
    connection->header_len = 0;
    websocket_header_read (&connection->frame, connection->header);
    connection->left = connection->frame.len;
    return true;
}

/* A control frame has come whole. */
static int obey (struct connection *connection, struct span *answer)
{
    struct shared *shared = connection->shared;
    size_t len = connection->control_len;
    connection->control_len = 0;
    switch (connection->frame.opcode) {
        case WEBSOCKET_PING:
            answer_with (shared, WEBSOCKET_PONG, connection->control, len,
                         answer);
            return 0;
        case WEBSOCKET_CLOSE:
            answer_with (shared, WEBSOCKET_CLOSE, connection->control, len,
                         answer);
            return WS_CLOSED;
        default:
            return 0;
    }
}

/* Hands on what is there of the frame's payload. */
static int take_payload (struct connection *connection,
                         struct span *rest,
                         layer_take *take,
                         void *owner,
                         struct span *answer)
{
    size_t len = rest->len < connection->left ? rest->len
                                              : (size_t) connection->left;
    bool control = connection->frame.opcode >= WEBSOCKET_CLOSE;
    if (control) {
        memcpy (connection->control + connection->control_len, rest->bytes,
                len);
        connection->control_len = (uint8_t) (connection->control_len + len);
    } else if (len > 0) {
        int error = take (owner, (struct span) {rest->bytes, len});
        if (error)
            return error;
    }
    rest->bytes += len;
    rest->len -= len;
    connection->left -= len;
    return control && connection->left == 0 ? obey (connection, answer) : 0;
}

/* Of several pings in one input the last is answered, as the RFC allows. */
static int scan (void *state,
                 struct span rest,
                 layer_take *take,
                 void *owner,
                 struct span *answer)
{
    struct connection *connection = state;
    while (rest.len > 0) {
        if (connection->left == 0) {
            if (!take_header (connection, &rest))
                return 0;
            int error = check_header (connection);
            if (error)
                return error;
        }
        int error = take_payload (connection, &rest, take, owner, answer);
        if (error)
            return error;
    }
    return 0;
}

static uint64_t ahead (const void *state)
{
    const struct connection *connection = state;
    bool control = connection->frame.opcode >= WEBSOCKET_CLOSE;
    return control ? 0 : connection->left;
}

static int move_together (void *owner, struct span piece)
{
    struct span *data = owner;
    memmove (data->bytes + data->len, piece.bytes, piece.len);
    data->len += piece.len;
    return 0;
}

/* In place: payloads move together over the headers between them. */
static int decode (void *state, struct span *data, struct span *answer)
{
    struct span input = *data;
    data->len = 0;
    return scan (state, input, move_together, data, answer);
}

const struct layer_kind layer_ws = {
  .prepare = prepare,
  .finish = free,
  .open = open_connection,
  .close = close_connection,
  .handshake = handshake,
  .decode = decode,
  .scan = scan,
  .ahead = ahead,
  .encode = encode,
  .leave = leave,
};
