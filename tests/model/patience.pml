// spin: -DSAFETY
// mutate: the thread does not look at what is owed after its mark: s/:: owing -> patient = false/:: false -> skip/
// mutate: a caller that owes does not end a long tick: s/:: was -> signal_ = true/:: false -> skip/
/* SPDX-License-Identifier: MPL-2.0 */
/* The long tick of core/engine/thread.go: the shard's thread watches a caller
 * that comes back all the time, and the caller, who leaves something that the
 * shard has to see to in its own time (owing), or no longer does.
 *
 * Shown: from when the caller has left while the shard owes something, the thread
 * is not in a long tick, unless a signal is on its way to end that. */

#define TIMES 4

bool owing = false;
bool patient = false;
bool signal_ = false; /* the thread's waiter */
bool left = false;    /* the caller is away, after all that it does */
bool long_ = false;   /* the thread waits for a long tick */

#define LATE (left && owing && long_ && !signal_)

active proctype caller ()
{
    byte times = 0;
    bool was;
    do
    :: times < TIMES ->
        times++;
        left = false; /* it drives */
        if
        :: owing = true
        :: owing = false
        fi;
        /* leaveRole; the role itself is driver.pml's matter */
        if
        :: owing ->
            atomic { was = patient; patient = false };
            if
            :: was -> signal_ = true
            :: else
            fi
        :: else
        fi;
        left = true;
        assert (!LATE)
    :: else -> break
    od
}

active proctype thread ()
{
end:
    do
    :: /* nextTick: the caller came back often, or it did not */
        if
        :: patient = true;
            if
            :: owing -> patient = false
            :: else ->
                long_ = true;
                assert (!LATE);
                if
                :: signal_
                :: true /* the tick is over */
                fi;
                long_ = false
            fi
        :: patient = false
        fi;
        signal_ = false /* Reset, also after a short tick */
    od
}
