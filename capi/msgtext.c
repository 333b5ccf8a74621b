/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Properties of messages that are texts: zlink_msg_gets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <arpa/inet.h>

#include "msg.h"

char *zl_peer_text (const char *address, const char *port)
{
    size_t first = strlen (address) + 1, second = strlen (port) + 1;
    char *text = malloc (first + second);
    if (text) {
        memcpy (text, address, first);
        memcpy (text + first, port, second);
    }
    return text;
}

char *zl_peer_port (const message *m)
{
    return m->peer.text + strlen (m->peer.text) + 1;
}

/* Returns the peer's address in the form that can be dialled, with the zone of a link-local
 * one, and its port, as PEER_TEXT has them, or NULL. The caller must free it. */
static char *address_text (const message *m)
{
    char text[INET6_ADDRSTRLEN + sizeof "%4294967295"], port[sizeof "65535"];
    uint8_t ip[sizeof m->peer.ip];
    uint32_t zone = 0;
    memcpy (ip, m->peer.ip, sizeof ip);
    if (m->peer_kind == PEER_IP6 && ip[0] == 0xFE && (ip[1] & 0xC0) == 0x80) {
        memcpy (&zone, ip + ZONE_AT, sizeof zone);
        memset (ip + ZONE_AT, 0, sizeof zone);
    }
    inet_ntop (m->peer_kind == PEER_IP4 ? AF_INET : AF_INET6, ip, text,
               INET6_ADDRSTRLEN);
    if (zone != 0) {
        size_t end = strlen (text);
        snprintf (text + end, sizeof text - end, "%%%u", zone);
    }
    snprintf (port, sizeof port, "%u", m->port);
    return zl_peer_text (text, port);
}

/* Whether two names of properties are the same: what is behind the prefix is the name of a
 * field of HTTP, which has no case. */
static bool same_name (const char *a, const char *b)
{
    static const char header[] = "WS-Header:"; /* HeaderPrefix */
    if (strncmp (a, header, sizeof header - 1) != 0 || strncmp (b, header, sizeof header - 1) != 0)
        return strcmp (a, b) == 0;
    return strcasecmp (a, b) == 0;
}

/* Property: a value of a card, or NULL. */
static const char *card_text (const zl_card *card, const char *name)
{
    const char *text = (const char *) (card + 1), *end = text + card->size;
    while (text < end) {
        const char *value = text + strlen (text) + 1;
        if (same_name (text, name))
            return value;
        text = value + strlen (value) + 1;
    }
    return NULL;
}

/* A property of the peer of a received message, or NULL with errno. */
static const char *peer_property (message *m, const char *property)
{
    const bool port = strcmp (property, "Peer-Port") == 0;
    const char *kept = m->peer_kind == PEER_CARD ? card_text (m->peer.card, property) : NULL;
    if (kept)
        return kept;
    if (!(port || strcmp (property, "Peer-Address") == 0) || m->peer_kind == PEER_NONE
        || m->peer_kind == PEER_CARD) {
        zl_fail (EINVAL);
        return NULL;
    }
    if (m->peer_kind != PEER_TEXT) {
        char *owned = address_text (m);
        if (!owned) {
            zl_fail (ENOMEM);
            return NULL;
        }
        m->peer.text = owned;
        m->peer_kind = PEER_TEXT;
    }
    return port ? zl_peer_port (m) : m->peer.text;
}

const char *zlink_msg_gets (const zlink_msg_t *msg, const char *property)
{
    message *m = (message *) valid_message (msg);
    if (!m) {
        zl_fail (EFAULT);
        return NULL;
    }
    if (property && strcmp (property, "Close-Reason") == 0 && zl_msg_close_code (m) != 0)
        return m->kind == KIND_CONTENT ? m->u.content->data : "";
    if (!property) {
        zl_fail (EINVAL);
        return NULL;
    }
    return peer_property (m, property);
}
