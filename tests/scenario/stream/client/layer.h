/* SPDX-License-Identifier: MPL-2.0 */
/* What lies between the frames of a connection and its descriptor: TLS, a
 * WebSocket, or one over the other. Layers turn bytes into other bytes; they
 * neither read nor write the descriptor, and they know nothing of frames. */
#ifndef SCENARIO_LAYER_H
#define SCENARIO_LAYER_H

#include "options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that a layer may write in front of those it is given to encode. */
#define LAYER_HEADROOM 16
#define LAYER_MAX 2

struct span
{
    uint8_t *bytes;
    size_t len;
};

/* Takes in a piece of what came. An error ends the connection. */
typedef int layer_take (void *owner, struct span piece);

/* One kind of layer. What decode leaves in data is valid until the next decode
 * of any connection, what is to be sent until there is more to be sent. Errors
 * are those of errno or protocol_error.h; 0: none. */
struct layer_kind
{
    /* What the connections of a run share. input_size: bytes of the longest
     * input of decode. NULL: the reason was printed. */
    void *(*prepare) (const struct options *options, size_t input_size);
    void (*finish) (void *shared);

    /* A connection's part. NULL: no memory. */
    void *(*open) (void *shared);
    void (*close) (void *state);

    /* Goes on with the handshake; called first with an empty input. Leaves of
     * input what comes behind the handshake, and sets answer to what is to be
     * sent. */
    int (*handshake) (void *state,
                      struct span *input,
                      struct span *answer,
                      bool *done);
    /* Replaces what came by what it means, also when it returns an error: then
     * by what came before that. */
    int (*decode) (void *state, struct span *data, struct span *answer);
    /* Hands on where they are the pieces that decode would leave, if not NULL. */
    int (*scan) (void *state,
                 struct span data,
                 layer_take *take,
                 void *owner,
                 struct span *answer);
    /* Bytes to come next that scan hands on unseen, as far as is known, if not NULL. */
    uint64_t (*ahead) (const void *state);
    /* Replaces bytes, with LAYER_HEADROOM in front of them, by what is to be
     * sent. */
    int (*encode) (void *state, struct span *data);
    /* Sets last to what says goodbye. */
    void (*leave) (void *state, struct span *last);
};

extern const struct layer_kind layer_ws;
/* NULL members when the client was built without OpenSSL. */
extern const struct layer_kind layer_tls;

/* The layers of a run, from the descriptor up. */
struct layers
{
    size_t count;
    const struct layer_kind *kinds[LAYER_MAX];
    void *shared[LAYER_MAX];
};

/* The layers of one connection. */
struct channel
{
    size_t opened; /* layers whose handshake is done */
    void *states[LAYER_MAX];
};

/* Why this client does not speak a transport; NULL: it does. */
const char *layers_missing (const char *transport);

/* 0, or -1 when the reason was printed. */
int layers_init (struct layers *layers,
                 const struct options *options,
                 size_t input_size);
void layers_free (struct layers *layers);

/* NULL: no memory. */
struct channel *channel_new (const struct layers *layers);
void channel_free (const struct layers *layers, struct channel *channel);

/* Writes to the descriptor, or keeps what it does not take. */
typedef int channel_send (void *owner, const uint8_t *bytes, size_t len);

/* Takes in what came from the descriptor, first nothing to begin the
 * handshake, and leaves what it means in data, also when it returns an error. */
int channel_take (const struct layers *layers,
                  struct channel *channel,
                  struct span *data,
                  channel_send *send,
                  void *owner);

/* The same, but hands what it means to take, piece by piece. */
int channel_scan (const struct layers *layers,
                  struct channel *channel,
                  struct span data,
                  layer_take *take,
                  channel_send *send,
                  void *owner);

/* Whether the highest layer is a WebSocket. */
bool layers_web (const struct layers *layers);

/* Whether channel_ahead knows anything, and the bytes from the descriptor to come
 * next that take will get as they are. */
bool layers_show_ahead (const struct layers *layers);
uint64_t
channel_ahead (const struct layers *layers, const struct channel *channel);

/* Replaces bytes with LAYER_HEADROOM in front of them by what is to be sent. */
int channel_encode (const struct layers *layers,
                    struct channel *channel,
                    struct span *data);

/* The same for bytes that are a WebSocket message already where there is one. */
int channel_encode_prebuilt (const struct layers *layers,
                             struct channel *channel,
                             struct span *data);

/* Says goodbye, if there was a welcome. */
void channel_leave (const struct layers *layers,
                    struct channel *channel,
                    channel_send *send,
                    void *owner);

#endif
