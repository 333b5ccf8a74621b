/* SPDX-License-Identifier: MPL-2.0 */
/* The free blocks of core/shm, popped and pushed by C; pool.go states the invariants. */
#ifndef ZLINK_POOL_H
#define ZLINK_POOL_H

#include "check.h"
#include "internal.h"

static inline uint64_t repack (uint64_t head, void *block)
{
    uint64_t tag = ((head & ZL_LOW_TAG) | (head >> 48 << ZL_LOW_BITS)) + 1;
    return (uint64_t) (uintptr_t) block | (tag & ZL_LOW_TAG)
           | (tag >> ZL_LOW_BITS << 48);
}

/* Tests insert something in the middle of a pop. */
#ifndef ZL_GAP
#define ZL_GAP() ((void) 0)
#endif

/* In a build with a memory checker nobody may touch a free block, except for the word that
 * links it. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

static inline size_t block_size (const zl_pool *pool)
{
    static const size_t sizes[] = {
      [ZL_CLASS_REF] = ZL_REF_SIZE,
      [ZL_CLASS_TINY] = ZL_TINY_CHUNK_SIZE,
      [ZL_CLASS_SMALL] = ZL_SMALL_CHUNK_SIZE,
      [ZL_CLASS_MID] = ZL_MID_CHUNK_SIZE,
      [ZL_CLASS_LARGE] = ZL_LARGE_CHUNK_SIZE,
      [ZL_CLASS_SLAB] = ZL_SLAB_SIZE,
      [ZL_CLASS_SLAB64] = ZL_SLAB64_SIZE,
      [ZL_CLASS_SLAB128] = ZL_SLAB128_SIZE,
      [ZL_CLASS_SLAB256] = ZL_SLAB256_SIZE,
      [ZL_CLASS_SLAB512] = ZL_SLAB512_SIZE,
      [ZL_CLASS_BIG_SLAB] = ZL_BIG_SLAB_SIZE,
    };
    _Static_assert (sizeof sizes / sizeof *sizes == ZL_CLASS_DEDICATED, "pools");
    return sizes[pool - zl_pools];
}
#define POISON(pool, block)                                           \
    __asan_poison_memory_region ((char *) (block) + sizeof (void *),  \
                                 block_size (pool) - sizeof (void *))
#define UNPOISON(pool, block)                                \
    __asan_unpoison_memory_region (block, block_size (pool))
#else
#define POISON(pool, block) ((void) 0)
#define UNPOISON(pool, block) ((void) 0)
#endif

static inline void *pool_pop (zl_pool *pool)
{
    uint64_t head = atomic_load (&pool->head);
    for (;;) {
        void *block = (void *) (uintptr_t) (head & ZL_ADDR_MASK);
        if (!block)
            return NULL;
        void *next = atomic_load ((_Atomic (void *) *) block);
        ZL_GAP ();
        if (atomic_compare_exchange_weak (&pool->head, &head,
                                          repack (head, next))) {
            UNPOISON (pool, block);
            return block;
        }
    }
}

static inline void pool_push (zl_pool *pool, void *block)
{
    ZL_CHECK (((uintptr_t) block & ~ZL_ADDR_MASK) == 0,
              "a block of a pool lies where its head can tell");
    POISON (pool, block);
    uint64_t head = atomic_load (&pool->head);
    do
        atomic_store ((_Atomic (void *) *) block,
                      (void *) (uintptr_t) (head & ZL_ADDR_MASK));
    while (!atomic_compare_exchange_weak (&pool->head, &head,
                                          repack (head, block)));
}

#endif
