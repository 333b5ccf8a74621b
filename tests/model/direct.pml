// spin: -DSAFETY -DCOLLAPSE -E
// mutate: who gives the role up does not look at the list: s/^    :: head == NODE -> tryFlush (got, was)/    :: false -> skip/
// mutate: a flusher has nobody summoned who was sure of a driver: s/:: was -> summon ()/:: false -> skip/
// mutate: a flusher does not look at the list when it has left: s/^            :: head == NODE$/            :: false -> skip/
/* SPDX-License-Identifier: MPL-2.0 */
/* Sends from any thread (core/engine/driver.go: TryFlush, Want, Summon, Leave):
 * senders put a session on the dirty list and look for a driver; a thread that
 * receives drives, sleeps in the kernel while it does, or, when another has the
 * role, sleeps until it is woken; the shard's thread drives when it is
 * summoned, and gives the role up when it wakes a receive call.
 *
 * The clock may tick, but not often enough to rely on. Shown: when nothing moves
 * any more, no message is on the list, unless the receiver has something to
 * come back for; and when the receiver sleeps, somebody drives.
 *
 * Assumed: a receiver that got something calls again until there is nothing.
 *
 * Two senders of one message each need CALLS 1 and 3 GiB; they were checked too,
 * without a tick. One sender meets the other flushers: the receiver and the
 * shard's thread, who look at the list when they have left the role. */

#define NIL 0
#define NODE 1
#define ASLEEP 2

#define NONE 0
#define THREAD 1
#define CALLER 2
#define FLUSHER 3

#define SENDERS 1
#define MESSAGES 2
#define CALLS 2

byte head = NIL;   /* the dirty list */
byte inbox = NIL;  /* the socket's */
byte driver = NONE;
byte drivers = 0;  /* who really drives */
bool wake = false; /* the poller's eventfd */
byte events = 1;   /* what the world will send */
byte ticks = 1;    /* of the clock */
bool moved = false; /* drives has changed since the thread looked */
bool wanted = false, summoned = false, resting = false;
bool signal_ = false;   /* the waiter of the shard's thread */
bool rsignal = false;   /* the receiver's */
bool receiving = false; /* the receiver can drive when it is woken */
bool sleeping = false;  /* it sleeps for good */
bool hand = false;      /* it has a run */

inline take (who, got)
{
    atomic {
        if
        :: driver == NONE -> driver = who; drivers++; assert (drivers == 1); got = true
        :: else -> got = false
        fi
    }
}

inline leave () { atomic { drivers--; driver = NONE } }

inline flushDirty ()
{
    atomic {
        assert (drivers == 1);
        if
        :: head == NODE -> head = NIL
        :: else
        fi
    }
}

inline summon () { summoned = true; signal_ = true }

inline tryFlush (got, was)
{
    do
    :: take (FLUSHER, got);
        if
        :: got ->
            flushDirty ();
            leave ();
            atomic { was = wanted; wanted = false };
            if
            :: was -> summon ()
            :: else
            fi;
            if
            :: head == NODE
            :: else -> break
            fi
        :: else -> break
        fi
    od;
    atomic { got = false; was = false } /* here and below: fewer states */
}

/* flushLeft */
inline flushLeft (got, was)
{
    if
    :: head == NODE -> tryFlush (got, was)
    :: else
    fi
}

/* Shard.sleep: mark, look, wait, unmark; got: a run came. */
inline kernel (look, got)
{
    got = false;
    atomic {
        if
        :: head == NIL -> head = ASLEEP
        :: else
        fi
    };
    if
    :: head != ASLEEP || (look && inbox == NODE)
    :: else ->
        (wake || events > 0);
        atomic { wake = false; if :: events > 0 -> events--; got = true :: else fi }
    fi;
    atomic {
        if
        :: head == ASLEEP -> head = NIL
        :: else
        fi
    }
}

/* A run goes to the socket; give: the receiver is woken and can drive. */
inline deliver (old, give)
{
    atomic { old = inbox; inbox = NODE };
    give = false;
    if
    :: old == ASLEEP -> give = receiving; rsignal = true
    :: else
    fi;
    old = 0
}

proctype sender ()
{
    byte old, sent = 0;
    bool got, was;
again:
    sent++;
    atomic { old = head; head = NODE };
    if
    :: old == ASLEEP -> wake = true
    :: else ->
        if
        :: hand -> skip
        :: else ->
            if
            :: inbox == NODE
            :: else -> tryFlush (got, was)
            fi
        fi
    fi;
    old = 0;
    if
    :: sent < MESSAGES -> goto again
    :: else
    fi
}

active proctype receiver ()
{
    byte calls = 0, old;
    bool got, was, came, late, owes, polls;
    do
    :: calls < CALLS || owes ->
        atomic { calls = calls + (calls < CALLS); owes = false };
        if
        :: late = false; polls = false
        :: late = true; polls = false
        :: late = false; polls = true
        fi;
        do /* await, and Poll */
        :: inbox == NODE -> break
        :: else ->
            take (CALLER, got);
            if
            :: got ->
                moved = true;
                wanted = false;
                do /* Drive */
                :: flushDirty ();
                    came = false;
                    if
                    :: late || polls ->
                        atomic { wake = false; if :: events > 0 -> events--; came = true :: else fi }
                    :: else -> kernel (true, came)
                    fi;
                    if
                    :: came -> deliver (old, came)
                    :: else
                    fi;
                    if
                    :: inbox == NODE || late || polls -> break
                    :: else
                    fi
                od;
                moved = true;
                leave ();
                if
                :: resting -> signal_ = true
                :: else
                fi;
                flushLeft (got, was);
                if
                :: inbox == NODE || late -> break
                :: polls /* looked once, and sleeps now */
                fi
            :: else ->
                if
                :: late -> break
                :: else
                fi
            fi;
            /* sleep */
            rsignal = false;
            receiving = !polls;
            atomic {
                if
                :: inbox == NIL -> inbox = ASLEEP
                :: else
                fi
            };
            if
            :: inbox != ASLEEP
            :: else ->
                wanted = true; /* Want */
                if
                :: driver == NONE ->
                    if
                    :: polls -> summon ()
                    :: else -> goto awake /* drive */
                    fi
                :: else
                fi;
                sleeping = true;
                rsignal;
                sleeping = false
            fi;
awake:
            receiving = false
        od;
        atomic { got = false; came = false; late = false; polls = false };
        if
        :: inbox == NODE ->
            inbox = NIL;
            hand = true;
            atomic { hand = false; owes = true }
        :: else
        fi
    :: !owes -> break /* it does not come back */
    od
}

active proctype thread ()
{
    byte old;
    bool got, was, came, give, called;
end:
    do
    :: take (THREAD, got);
        if
        :: got ->
            wanted = false;
            give = false;
            do
            :: give -> break
            :: else ->
                flushDirty ();
                kernel (false, came);
                if
                :: came -> deliver (old, give)
                :: else
                fi
            od;
            leave ();
            if
            :: inbox == ASLEEP -> goto again
            :: else -> flushLeft (got, was)
            fi
        :: else ->
            wanted = true; /* Want */
            if
            :: driver == NONE -> goto again
            :: else
            fi
        fi;
        /* watch */
        moved = false;
        do
        ::  if
            :: summoned
            :: else ->
                if
                :: signal_
                :: ticks > 0 -> ticks--
                fi
            fi;
            signal_ = false;
            atomic { called = summoned; summoned = false };
            if
            :: called && driver != CALLER -> break
            :: else
            fi;
            if
            :: !moved ->
                if
                :: driver != CALLER -> break
                :: else
                fi;
                resting = true;
                do
                :: driver == CALLER && !moved -> signal_; signal_ = false
                :: else -> break
                od;
                resting = false
            :: else
            fi;
            moved = false
        od;
again:
        skip;
        atomic { called = false; got = false; came = false; give = false }
    od
}

active proctype judge ()
{
    timeout;
    assert (head != NODE || inbox == NODE || hand);
    assert (!sleeping || driver == THREAD)
}

init
{
    atomic {
        run sender ();
#if SENDERS > 1
        run sender ()
#endif
    }
}
