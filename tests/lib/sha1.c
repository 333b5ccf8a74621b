/* SPDX-License-Identifier: MPL-2.0 */
#include "sha1.h"

#include <string.h>

#define BLOCK 64

static uint32_t rotate (uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static void expand (const uint8_t *block, uint32_t words[80])
{
    for (int i = 0; i < 16; i++)
        words[i] = (uint32_t) block[4 * i] << 24
                   | (uint32_t) block[4 * i + 1] << 16
                   | (uint32_t) block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        words[i] = rotate (words[i - 3] ^ words[i - 8] ^ words[i - 14]
                             ^ words[i - 16],
                           1);
}

static void add_block (uint32_t state[5], const uint8_t *block)
{
    uint32_t words[80];
    expand (block, words);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3],
             e = state[4];
    for (int i = 0; i < 80; i++) {
        uint32_t mix, constant;
        if (i < 20) {
            mix = (b & c) | (~b & d);
            constant = 0x5a827999;
        } else if (i < 40) {
            mix = b ^ c ^ d;
            constant = 0x6ed9eba1;
        } else if (i < 60) {
            mix = (b & c) | (b & d) | (c & d);
            constant = 0x8f1bbcdc;
        } else {
            mix = b ^ c ^ d;
            constant = 0xca62c1d6;
        }
        uint32_t next = rotate (a, 5) + mix + e + constant + words[i];
        e = d;
        d = c;
        c = rotate (b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1 (const uint8_t *bytes, size_t len, uint8_t digest[SHA1_SIZE])
{
    /* The input, a 1 bit, zeros, and its length in bits. */
    uint8_t padded[2 * BLOCK] = {0};
    size_t size = len + 9 > BLOCK ? 2 * BLOCK : BLOCK;
    memcpy (padded, bytes, len);
    padded[len] = 0x80;
    padded[size - 2] = (uint8_t) (len * 8 >> 8);
    padded[size - 1] = (uint8_t) (len * 8);

    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                         0xc3d2e1f0};
    for (size_t at = 0; at < size; at += BLOCK)
        add_block (state, padded + at);
    for (int i = 0; i < SHA1_SIZE; i++)
        digest[i] = (uint8_t) (state[i / 4] >> (24 - 8 * (i % 4)));
}
