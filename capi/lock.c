/* SPDX-License-Identifier: MPL-2.0 */
/* The rare half of a session's lock, and the wake-up of a shard: the data path's calls of
 * the system. core/shm/lock.go has the protocol. */
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static bool try_lock_session (zl_session *s)
{
    uint32_t free_ = 0;
    return atomic_compare_exchange_strong (&s->tx_lock, &free_, 1);
}

/* Makes every running thread of the process pass a memory barrier. false: the system
 * refuses. */
static bool barrier (void)
{
    for (int i = 0; i < 2; i++) {
        if (syscall (SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
            return true;
        if (errno != EPERM) /* this process has not registered */
            return false;
        syscall (SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    }
    return false;
}

void zl_lock_slow (zl_session *s)
{
    static const struct timespec nap = {0, ZL_LOCK_NAP};
    int before = errno;
    for (int i = 0; i < ZL_LOCK_TRIES; i++)
        if (try_lock_session (s))
            return;
    atomic_fetch_add (&s->tx_waiters, 1);
    /* From here on, whoever holds the lock sees tx_waiters when it unlocks. */
    bool seen = barrier ();
    while (!try_lock_session (s))
        syscall (SYS_futex, &s->tx_lock, FUTEX_WAIT_PRIVATE, 1,
                 seen ? NULL : &nap, NULL, 0);
    atomic_fetch_sub (&s->tx_waiters, 1);
    errno = before;
}

void zl_wake_waiter (zl_session *s)
{
    int before = errno;
    syscall (SYS_futex, &s->tx_lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = before;
}

void zl_wake_driver (zl_wakeup *shard)
{
    static const uint64_t one = 1;
    int before = errno;
    /* Not write(): that is a cancellation point, and the session's lock is held. */
    while (syscall (SYS_write, shard->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = before;
}
