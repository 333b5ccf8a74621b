// spin: -DSAFETY
// mutate: a waiter has no barrier: s/:: t < THREADS -> drain (t); t++/:: t < THREADS -> t++/
// mutate: unlock looks at the waiters before it stores: s/kept.me. = true; .. unlock.*/t = waiters; kept[me] = true;/; s/:: waiters > 0 ->/:: t > 0 ->/
// mutate: a waiter does not look again before it sleeps: s/:: word == 1 -> asleep/:: true -> asleep/
/* SPDX-License-Identifier: MPL-2.0 */
/* A session's lock (core/shm/lock.go, capi/lock.c): threads that take it in turn,
 * each with a processor that keeps its last store back for as long as it likes,
 * as x86 and ARM may. A compare-and-swap first lets the own store out; a barrier
 * in all threads, membarrier(2), lets out everybody's.
 *
 * Shown: never two threads hold the lock, and nobody sleeps for ever while it is
 * free (that would be an invalid end state). */

#define THREADS 3
#define TURNS 2

byte word = 0;           /* TxLock, as the others see it */
byte waiters = 0;        /* TxWaiters */
bool kept[THREADS];      /* the store of 0 is still in the processor */
bool asleep[THREADS];
byte inside = 0;

#define drain(t)                                                               \
    if                                                                         \
    :: kept[t] -> kept[t] = false; word = 0                                    \
    :: else                                                                    \
    fi

inline tryLock ()
{
    atomic {
        if
        :: word == 0 -> word = 1; got = true
        :: else -> got = false
        fi
    }
}

proctype thread (byte me)
{
    byte turns = 0, t;
    bool got;
    do
    :: turns < TURNS ->
        turns++;
        atomic { drain (me) }; /* the compare-and-swap does it */
        tryLock ();
        if
        :: got
        :: else ->
            waiters++;
            atomic { /* barrier */
                t = 0;
                do
                :: t < THREADS -> drain (t); t++
                :: else -> t = 0; break
                od
            };
            do
            :: tryLock ();
                if
                :: got -> break
                :: else
                fi;
                atomic { /* the kernel compares and sleeps in one step */
                    if
                    :: word == 1 -> asleep[me] = true
                    :: else
                    fi
                };
                !asleep[me]
            od;
            waiters--
        fi;
        atomic { inside++; assert (inside == 1) };
        inside--;
        kept[me] = true; /* unlock: the plain store, then the look */
        if
        :: waiters > 0 ->
            atomic {
                drain (me); /* the system call */
                if
                :: asleep[0] -> asleep[0] = false
                :: asleep[1] -> asleep[1] = false
                :: asleep[2] -> asleep[2] = false
                :: else
                fi
            }
        :: else
        fi
    :: else -> break
    od
}

/* A processor lets a store out at last. */
active proctype time_ ()
{
end:
    do
    :: atomic { kept[0] -> drain (0) }
    :: atomic { kept[1] -> drain (1) }
    :: atomic { kept[2] -> drain (2) }
    od
}

init
{
    atomic {
        run thread (0);
        run thread (1);
        run thread (2)
    }
}
