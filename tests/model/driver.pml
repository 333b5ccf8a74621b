// spin: -DSAFETY
// mutate: a caller leaves without a look at who rests: s/:: resting -> signal_ = true/:: false -> skip/
// mutate: the thread looks before it says that it rests: s/^ *resting = true;//; s/drives == now -> signal_;/drives == now -> resting = true; signal_;/
/* SPDX-License-Identifier: MPL-2.0 */
/* The driver role of core/engine/driver.go: the shard's thread and a caller
 * that drives now and then, sleeps in the kernel while it does, and at some
 * moment does not come back; and a thread that is about to sleep without
 * driving, who summons the shard's thread.
 *
 * Shown: never two drivers; and however the caller leaves, the thread takes the
 * role again (else it would rest for ever: an invalid end state). A tick of the
 * clock can come at any time. */

#define NONE 0
#define THREAD 1
#define CALLER 2
#define TIMES 3

byte driver = NONE;
byte drivers = 0; /* who really drives */
byte drives = 0;  /* counts starts and ends of a caller's driving */
bool resting = false;
bool signal_ = false; /* the thread's waiter */
bool summoned = false;
bool gone = false;    /* the caller does not come back */
bool event = false;   /* what a driver sleeps for in the kernel */

inline take (who, got)
{
    atomic {
        if
        :: driver == NONE -> driver = who; drivers++; assert (drivers == 1); got = true
        :: else -> got = false
        fi
    }
}

active proctype caller ()
{
    byte times = 0;
    bool got;
    do
    :: times < TIMES ->
        times++;
        take (CALLER, got);
        if
        :: got ->
            drives++;
            if
            :: true -> event /* sleeps until the world sends something */
            :: true          /* finds something at once */
            fi;
            event = false;
            drives++;
            atomic { drivers--; driver = NONE };
            if
            :: resting -> signal_ = true
            :: else
            fi
        :: else
        fi
    :: else -> break
    od;
    gone = true
}

/* Anything may happen outside, but not without end: the last event is that
 * for a caller which still sleeps. */
active proctype world ()
{
end:
    do
    :: driver == CALLER && !event -> event = true
    od
}

/* Summon: any thread, any number of times. */
active proctype sleeper ()
{
end:
    do
    :: !gone && !summoned && driver == NONE ->
        summoned = true; /* somebody may have taken the role since the look */
        signal_ = true
    od
}

active proctype thread ()
{
    byte last, now;
    bool got, called;
    do
    :: take (THREAD, got);
        if
        :: got ->
            /* It drives until it wakes a receive call, or for ever. */
            if
            :: gone -> break
            :: !gone -> atomic { drivers--; driver = NONE }
            fi;
            if
            :: goto again /* who was woken sleeps again already */
            :: true
            fi
        :: else
        fi;
        /* watch */
        last = drives;
        do
        :: signal_ = false; /* a tick, or a signal */
            atomic { called = summoned; summoned = false };
            if
            :: called && driver != CALLER -> break
            :: else
            fi;
            now = drives;
            if
            :: now == last ->
                if
                :: driver != CALLER -> break
                :: else
                fi;
                /* rest */
                resting = true;
                do
                :: driver == CALLER && drives == now -> signal_; signal_ = false
                :: else -> break
                od;
                resting = false
            :: else
            fi;
            last = drives
        od;
again:
        skip
    od;
    assert (drivers == 1 && driver == THREAD)
}
