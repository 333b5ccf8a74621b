// spin: -DSAFETY -O2 -m1000000 -w26 -E
// spin mutants: -DREVERSE -w22
// mutate: who gives the role up does not look at the list: s/^    :: head == NODE -> tryFlush (got, was, more, enough)/    :: false -> skip/
// mutate: a flusher has nobody summoned who was sure of a driver: s/:: was || enough/:: enough/
// mutate: a flusher leaves what its turn was too short for: s/:: (head == NODE || more) /:: head == NODE /
// mutate: a flusher does not look at the list when it has left: s/:: (head == NODE || more) /:: more /
// mutate: a flusher that has written often enough summons nobody: s/ || enough -> summon/ -> summon/
// mutate: the shard's thread does not see that who was woken sleeps again: s/:: inbox == ASLEEP -> goto again/:: false/
// mutate: the shard's thread hands over what its turn was too short for: s/^                :: more -> give = false/                :: false -> skip/
// mutate: the shard's thread sleeps while something is left: s/^                :: more -> look (came)/                :: false -> skip/
// mutate: a caller that drives sleeps while something is left: s/:: late || polls || more ->/:: late || polls ->/
/* SPDX-License-Identifier: MPL-2.0 */
/* Sends from any thread (core/engine/driver.go: TryFlush, Want, Summon, Leave):
 * senders put a session on the dirty list and look for a driver; a thread that
 * receives drives, sleeps in the kernel while it does, or, when another has the
 * role, sleeps until it is woken; the shard's thread drives when it is
 * summoned, and gives the role up when it wakes a receive call.
 *
 * A turn of writing may be too short (core/engine/turn.go): what is left is on a
 * list of the driver's own, of which no sender knows. Every driver begins with it,
 * none sleeps while something is on it, the shard's thread does not hand it over,
 * and a flusher goes on with it until it has written often enough, and then summons
 * that thread.
 *
 * The clock may tick, but not often enough to rely on. Shown: when nothing moves
 * any more, no message is on the list, unless the receiver has something to
 * come back for; nothing is left but by a caller, who is expected back within a
 * tick; and when the receiver sleeps, somebody drives.
 *
 * Assumed: a receiver that got something calls again until there is nothing.
 *
 * Each run has a tick, or a turn that is too short and a flusher that has written
 * often enough. With all three in one run it was checked too; and two senders of one
 * message each, which need one call of the receiver, no tick and 3 GiB. One sender meets the other flushers: the
 * receiver and the shard's thread, who look at the list when they have left the
 * role. */

#define NIL 0
#define NODE 1
#define ASLEEP 2

#define NONE 0
#define THREAD 1
#define CALLER 2
#define FLUSHER 3

#define NOBODY 4 /* who left something to write */

#define SENDERS 1
#define MESSAGES 2

byte head = NIL;   /* the dirty list */
byte inbox = NIL;  /* the socket's */
byte driver = NONE;
byte drivers = 0;  /* who really drives */
bool wake = false; /* the poller's eventfd */
byte events = 1;   /* what the world will send */
byte ticks = 0;    /* of the clock */
byte left = NOBODY; /* who left something to write that the kernel would take */
byte shorts = 0;   /* turns of writing that are too short */
byte often = 0;    /* flushers who have written often enough when they leave */
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

/* Writes what is left, and then what senders queued, as far as a turn goes; more:
 * not all of it. */
inline flushDirty (who, more)
{
    atomic {
        assert (drivers == 1);
        more = false;
        if
        :: head == NODE || left != NOBODY ->
            if
            :: head == NODE -> head = NIL
            :: else
            fi;
            left = NOBODY;
            if
            :: shorts > 0 -> shorts--; left = who; more = true
            :: true
            fi
        :: else
        fi
    }
}

inline summon () { summoned = true; signal_ = true }

inline tryFlush (got, was, more, enough)
{
    do
    :: take (FLUSHER, got);
        if
        :: got ->
            flushDirty (FLUSHER, more);
            leave ();
            atomic { was = wanted; wanted = false; if :: often > 0 -> often--; enough = true :: true fi };
            if
            :: was || enough -> summon ()
            :: else
            fi;
            if
            :: (head == NODE || more) && !enough
            :: else -> break
            fi
        :: else -> break
        fi
    od;
    atomic { got = false; was = false; more = false; enough = false } /* here and below: fewer states */
}

/* flushLeft */
inline flushLeft (got, was, more, enough)
{
    if
    :: head == NODE -> tryFlush (got, was, more, enough)
    :: else
    fi
}

/* Shard.poll: a look that does not wait; got: a run came. */
inline look (got)
{
    atomic { wake = false; got = false; if :: events > 0 -> events--; got = true :: else fi }
}

/* Shard.sleep: mark, look, wait, unmark; got: a run came. */
inline kernel (looks, got)
{
    got = false;
    atomic {
        if
        :: head == NIL -> head = ASLEEP
        :: else
        fi
    };
    if
    :: head != ASLEEP || (looks && inbox == NODE)
    :: else ->
        (wake || events > 0);
        look (got)
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
    bool got, was, more, enough;
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
            :: else -> tryFlush (got, was, more, enough)
            fi
        fi
    fi;
    old = 0;
    if
    :: sent < MESSAGES -> goto again
    :: else
    fi
}

proctype receiver (byte most) /* calls */
{
    byte calls = 0, old;
    bool got, was, more, enough, came, late, owes, polls;
    do
    :: calls < most || owes ->
        atomic { calls = calls + (calls < most); owes = false };
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
                :: flushDirty (CALLER, more);
                    if
                    :: late || polls || more -> look (came)
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
                flushLeft (got, was, more, enough);
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
    bool got, was, more, enough, came, give, called;
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
                flushDirty (THREAD, more);
                if
                :: more -> look (came)
                :: else -> kernel (false, came)
                fi;
                if
                :: came -> deliver (old, give)
                :: else
                fi;
                if
                :: more -> give = false
                :: else
                fi
            od;
            wanted = false; /* it was the receiver */
            leave ();
            if
            :: inbox == ASLEEP -> goto again
            :: else ->
                if /* flushFor */
                :: inbox == NODE || hand
                :: else -> flushLeft (got, was, more, enough)
                fi
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
    assert (left == NOBODY || left == CALLER && driver != CALLER);
    assert (!sleeping || driver == THREAD)
}

init
{
    atomic {
        if
        :: shorts = 1; often = 1; run receiver (1)
        :: ticks = 1; run receiver (2)
        fi;
        run sender ();
#if SENDERS > 1
        run sender ()
#endif
    }
}
