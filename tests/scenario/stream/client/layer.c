/* SPDX-License-Identifier: MPL-2.0 */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

static const struct transport_layers
{
    const char *name;
    size_t count;
    const struct layer_kind *kinds[LAYER_MAX];
} transports[] = {
  {"tcp", 0, {NULL}},
  {"ipc", 0, {NULL}},
  {"tls", 1, {&layer_tls}},
  {"ws", 1, {&layer_ws}},
  {"wss", 2, {&layer_tls, &layer_ws}},
};

static const struct transport_layers *find (const char *transport)
{
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++)
        if (strcmp (transports[i].name, transport) == 0)
            return &transports[i];
    return NULL;
}

const char *layers_missing (const char *transport)
{
    const struct transport_layers *found = find (transport);
    if (!found)
        return "this client speaks tcp, tls, ws, wss and ipc";
    for (size_t i = 0; i < found->count; i++)
        if (!found->kinds[i]->prepare)
            return "this client was built without OpenSSL (libssl-dev)";
    return NULL;
}

int layers_init (struct layers *layers,
                 const struct options *options,
                 size_t input_size)
{
    const struct transport_layers *found = find (options->transport);
    *layers = (struct layers) {0};
    for (size_t i = 0; i < found->count; i++) {
        layers->kinds[i] = found->kinds[i];
        layers->shared[i] = found->kinds[i]->prepare (options, input_size);
        if (!layers->shared[i]) {
            layers_free (layers);
            return -1;
        }
        layers->count++;
    }
    return 0;
}

void layers_free (struct layers *layers)
{
    for (size_t i = 0; i < layers->count; i++)
        layers->kinds[i]->finish (layers->shared[i]);
    layers->count = 0;
}

struct channel *channel_new (const struct layers *layers)
{
    struct channel *channel = calloc (1, sizeof *channel);
    for (size_t i = 0; channel && i < layers->count; i++) {
        channel->states[i] = layers->kinds[i]->open (layers->shared[i]);
        if (!channel->states[i]) {
            channel_free (layers, channel);
            return NULL;
        }
    }
    return channel;
}

void channel_free (const struct layers *layers, struct channel *channel)
{
    for (size_t i = 0; channel && i < layers->count; i++)
        if (channel->states[i])
            layers->kinds[i]->close (channel->states[i]);
    free (channel);
}

/* Encodes with the layers below the given one. */
static int encode_below (const struct layers *layers,
                         struct channel *channel,
                         size_t layer,
                         struct span *data)
{
    int error = 0;
    while (layer-- > 0 && error == 0)
        error = layers->kinds[layer]->encode (channel->states[layer], data);
    return error;
}

static int send_answer (const struct layers *layers,
                        struct channel *channel,
                        size_t layer,
                        struct span *answer,
                        channel_send *send,
                        void *owner)
{
    if (answer->len == 0)
        return 0;
    int error = encode_below (layers, channel, layer, answer);
    return error ? error : send (owner, answer->bytes, answer->len);
}

/* A step of the lowest handshake that is not done. */
static int greet (const struct layers *layers,
                  struct channel *channel,
                  struct span *data,
                  channel_send *send,
                  void *owner)
{
    size_t layer = channel->opened;
    struct span answer = {NULL, 0};
    bool done = false;
    int error = layers->kinds[layer]->handshake (channel->states[layer], data,
                                                 &answer, &done);
    int sent = send_answer (layers, channel, layer, &answer, send, owner);
    if (done)
        channel->opened++;
    return error ? error : sent;
}

static int scan_with (const struct layer_kind *kind,
                      void *state,
                      struct span *data,
                      layer_take *take,
                      void *owner,
                      struct span *answer)
{
    if (kind->scan)
        return kind->scan (state, *data, take, owner, answer);
    int error = kind->decode (state, data, answer);
    int taken = data->len > 0 ? take (owner, *data) : 0;
    return taken ? taken : error;
}

/* What a layer has decoded is the next one's input; what the highest one has
 * stays in data, or is taken. */
static int ascend (const struct layers *layers,
                   struct channel *channel,
                   struct span *data,
                   layer_take *take,
                   channel_send *send,
                   void *owner)
{
    /* Of several errors that of the highest layer says most. */
    int result = 0;
    for (size_t layer = 0; layer < layers->count; layer++) {
        if (layer == channel->opened && result == 0)
            result = greet (layers, channel, data, send, owner);
        if (layer >= channel->opened) {
            data->len = 0;
            return result;
        }
        if (data->len == 0)
            continue; /* the layer above may have to begin */
        struct span answer = {NULL, 0};
        bool last = take && layer + 1 == layers->count;
        const struct layer_kind *kind = layers->kinds[layer];
        void *state = channel->states[layer];
        int error =
          last ? scan_with (kind, state, data, take, owner, &answer)
               : kind->decode (state, data, &answer);
        int sent = send_answer (layers, channel, layer, &answer, send, owner);
        if (error || sent)
            result = error ? error : sent;
    }
    return result;
}

int channel_take (const struct layers *layers,
                  struct channel *channel,
                  struct span *data,
                  channel_send *send,
                  void *owner)
{
    return ascend (layers, channel, data, NULL, send, owner);
}

int channel_scan (const struct layers *layers,
                  struct channel *channel,
                  struct span data,
                  layer_take *take,
                  channel_send *send,
                  void *owner)
{
    return ascend (layers, channel, &data, take, send, owner);
}

int channel_encode (const struct layers *layers,
                    struct channel *channel,
                    struct span *data)
{
    return encode_below (layers, channel, layers->count, data);
}

bool layers_web (const struct layers *layers)
{
    return layers->count > 0 && layers->kinds[layers->count - 1] == &layer_ws;
}

bool layers_show_ahead (const struct layers *layers)
{
    return layers->count == 1 && layers->kinds[0]->ahead;
}

uint64_t
channel_ahead (const struct layers *layers, const struct channel *channel)
{
    return layers_show_ahead (layers)
             ? layers->kinds[0]->ahead (channel->states[0])
             : 0;
}

int channel_encode_prebuilt (const struct layers *layers,
                             struct channel *channel,
                             struct span *data)
{
    return encode_below (layers, channel, layers->count - layers_web (layers),
                         data);
}

void channel_leave (const struct layers *layers,
                    struct channel *channel,
                    channel_send *send,
                    void *owner)
{
    for (size_t layer = channel->opened; layer-- > 0;) {
        struct span last = {NULL, 0};
        layers->kinds[layer]->leave (channel->states[layer], &last);
        if (send_answer (layers, channel, layer, &last, send, owner) != 0)
            return;
    }
}
