/* SPDX-License-Identifier: MPL-2.0 */
/* The bare echo over WebSocket (RFC 6455): each frame is sent back unmasked, as far as it has come, with no look at messages and
 * what is in them. A close is sent back too; the client then hangs up. */
#include "protocol.h"
#include "websocket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HEAD_SIZE 4096
#define HEAD_END "\r\n\r\n"

struct peer
{
    uint64_t left; /* of the frame's payload */
    uint8_t mask[WEBSOCKET_MASK_SIZE]; /* as the next byte of it needs it */
    uint8_t kept;                      /* bytes of a header that has not all come */
    uint8_t header[WEBSOCKET_MAX_HEADER];
};

_Static_assert (BUFFER_ROOM >= WEBSOCKET_MAX_HEADER, "a header fits");

/* --------------------------------------------------------------- handshake */

/* The head stays unread until all of it is there. */
static enum opened shake_hands (void *state, const struct channel *channel)
{
    (void) state;
    char head[HEAD_SIZE + 1], key[64], accept[WEBSOCKET_ACCEPT_TEXT];
    ssize_t got = channel->read (channel->of, head, HEAD_SIZE, true);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? OPENS_LATER : OPENS_NEVER;
    head[got] = '\0';
    char *end = strstr (head, HEAD_END);
    if (!end)
        return got < HEAD_SIZE ? OPENS_LATER : OPENS_NEVER;
    end += strlen (HEAD_END);
    channel->read (channel->of, head, (size_t) (end - head), false);
    *end = '\0';
    size_t len;
    const char *value = websocket_http_field (head, "Sec-WebSocket-Key", &len);
    if (!value || len >= sizeof key)
        return OPENS_NEVER;
    memcpy (key, value, len);
    key[len] = '\0';
    websocket_accept (key, accept);
    int size = snprintf (head, sizeof head,
                         "HTTP/1.1 101 Switching Protocols\r\n"
                         "Upgrade: websocket\r\n"
                         "Connection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: %s\r\n\r\n",
                         accept);
    return channel->write (channel->of, head, (size_t) size) ? OPENED : OPENS_NEVER;
}

/* ------------------------------------------------------------------ frames */

typedef uint8_t vector __attribute__ ((vector_size (32)));

/* Moves len bytes of a payload to out, which does not lie behind in, without
 * their mask, and turns the mask for the byte behind them. */
static void unmask (uint8_t *out, const uint8_t *in, size_t len, uint8_t *mask)
{
    uint32_t word;
    memcpy (&word, mask, sizeof word);
    const uint64_t two_words = (uint64_t) word << 32 | word;
    const uint64_t eight_words[] = {two_words, two_words, two_words, two_words};
    vector key, some;
    memcpy (&key, eight_words, sizeof key);
    size_t i = 0;
    for (; i + sizeof some <= len; i += sizeof some) {
        memcpy (&some, in + i, sizeof some);
        some ^= key;
        memcpy (out + i, &some, sizeof some);
    }
    for (uint64_t few; i + sizeof few <= len; i += sizeof few) {
        memcpy (&few, in + i, sizeof few);
        few ^= two_words;
        memcpy (out + i, &few, sizeof few);
    }
    const uint8_t bytes[] = {mask[0], mask[1], mask[2], mask[3]};
    for (; i < len; i++)
        out[i] = in[i] ^ bytes[i & 3];
    for (i = 0; i < sizeof bytes; i++)
        mask[i] = bytes[(len + i) & 3];
}

/* Turns the header at in, if the len bytes there are all of it, into the answer's
 * at out: the same without a mask. Returns its size; 0: more has to come. */
static size_t answer_header (struct peer *peer,
                             uint8_t *out,
                             const uint8_t *in,
                             size_t len)
{
    if (len < 2)
        return 0;
    uint8_t small = in[1] & 0x7f;
    size_t size = small < 126 ? 2 : small == 126 ? 4
                                                 : 10;
    if (len < size + WEBSOCKET_MASK_SIZE)
        return 0;
    peer->left = size == 2 ? small : 0;
    for (size_t i = 2; i < size; i++)
        peer->left = peer->left << 8 | in[i];
    memcpy (peer->mask, in + size, WEBSOCKET_MASK_SIZE);
    memmove (out, in, size);
    out[1] = small;
    if ((out[0] & 15) == WEBSOCKET_PING)
        out[0] ^= WEBSOCKET_PING ^ WEBSOCKET_PONG;
    return size;
}

static bool answer_frames (void *state, struct buffer *buffer)
{
    struct peer *peer = state;
    uint8_t *end = buffer->at + buffer->len;
    uint8_t *in = buffer->at - peer->kept, *out = in;
    buffer->at = in;
    memcpy (in, peer->header, peer->kept);
    peer->kept = 0;
    while (in < end) {
        if (peer->left == 0) {
            size_t len = (size_t) (end - in);
            bool masked = len < 2 || in[1] & 0x80;
            size_t size = answer_header (peer, out, in, len);
            if (!masked)
                return false;
            if (size == 0) {
                peer->kept = (uint8_t) len;
                memcpy (peer->header, in, len);
                break;
            }
            in += size + WEBSOCKET_MASK_SIZE;
            out += size;
        }
        size_t some = (size_t) (end - in);
        if (some > peer->left)
            some = (size_t) peer->left;
        unmask (out, in, some, peer->mask);
        peer->left -= some;
        in += some;
        out += some;
    }
    buffer->len = (size_t) (out - buffer->at);
    return true;
}

const struct protocol ws_protocol = {.state_size = sizeof (struct peer),
                                     .open = shake_hands,
                                     .answer = answer_frames};
