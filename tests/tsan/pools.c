/* SPDX-License-Identifier: MPL-2.0 */
/* A pool with a few blocks and more threads than blocks: nobody may hold what
 * another one holds, and none may be lost. */
#include <pthread.h>
#include <stdlib.h>

#include "shard.h"
#include "pool.h"

enum
{
    BLOCKS = 4,
    THREADS = 4,
    ROUNDS = 40000,
    SIZE = 1 << 10
};

static zl_pool pool;
static _Alignas (SIZE) uint8_t blocks[BLOCKS][SIZE];
static atomic_int held[BLOCKS];

static atomic_int *mark_of (void *block)
{
    return &held[((uint8_t *) block - blocks[0]) / SIZE];
}

static void give (void *block)
{
    atomic_fetch_sub (mark_of (block), 1);
    pool_push (&pool, block);
}

/* Gives back in another order than it takes, at changing times. */
static void *take_and_give (void *arg)
{
    void *mine[3];
    int used = 0, salt = *(int *) arg;
    for (int n = 0; n < ROUNDS; n++) {
        void *block = pool_pop (&pool);
        if (block) {
            require (atomic_fetch_add (mark_of (block), 1) == 0, "two hold a block of a pool");
            mine[used++] = block;
        }
        while (used > (n + salt) % 3) {
            give (mine[0]);
            mine[0] = mine[1];
            mine[1] = mine[2];
            used--;
        }
    }
    while (used > 0)
        give (mine[--used]);
    return NULL;
}

void pools_under_load (void)
{
    pthread_t threads[THREADS];
    int salts[THREADS], left = 0;
    for (int i = 0; i < BLOCKS; i++)
        pool_push (&pool, blocks[i]);
    for (int i = 0; i < THREADS; i++) {
        salts[i] = i;
        require (pthread_create (&threads[i], NULL, take_and_give, &salts[i]) == 0, "no thread");
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join (threads[i], NULL);
    while (left <= BLOCKS && pool_pop (&pool))
        left++;
    require (left == BLOCKS, "a pool has lost blocks, or has one twice");
}
