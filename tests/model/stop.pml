// spin: -DSAFETY -DCOLLAPSE
// mutate: a call does not hold the socket: s/holds++; got = true/got = true/; s/^        leave ()/        skip/
// mutate: a sender has the shard flush after it gave the lock back: s/assert (!stopped .. !freed);/unlock (); assert (!stopped);/
// mutate: Term stops the shard while a call is in progress: s/freed; .. Term waits ../parts == 0;/
/* SPDX-License-Identifier: MPL-2.0 */
/* The end of a socket and of its shard beside senders (core/sockets/stream/socket.go:
 * pin, leave; closing.go: destroy; core/context.go: Term; core/engine/shard.go: Stop; driver.go:
 * TryFlush; capi/path.h: put_message, owe_flush). One connection, one shard. Senders of Go hold
 * the socket, append, and flush when nobody drives; senders of C hold nothing but
 * the session's lock while they append and wake. Another thread closes the socket,
 * which posts the connection's end to the shard, and ends the context.
 *
 * Shown: nobody takes or gives up the driver role of a stopped shard, pushes to
 * its list or wakes its poller; the queues are given back once, by the last who
 * uses them; and Term ends. */

#define NONE 0
#define THREAD 1
#define FLUSHER 3

bool locked = false; /* the session's TxLock */
bool open = true;    /* its state */
bool dirty = false;  /* on the shard's list */
bool posted = false; /* the connection's end is in the shard's mail */
bool asleep = false, wake = false; /* the poller */
byte driver = NONE;
byte holds = 1;      /* calls in progress, and one for the parts */
byte parts = 2;      /* the open socket and its connection */
bool closed = false;
bool freed = false;  /* the queues are given back, and Term goes on */
bool stopping = false, ended = false, stopped = false;

inline lock () { atomic { !locked; locked = true } }
inline unlock () { locked = false }

inline leave ()
{
    atomic {
        holds--;
        assert (holds > 0 || !freed);
        freed = freed || holds == 0
    }
}

inline gone ()
{
    atomic {
        parts--;
        was = parts == 0
    };
    if
    :: was -> leave ()
    :: else
    fi;
    was = false
}

/* flushDirty and runMail; the end of a connection detaches it under its lock. */
inline work ()
{
    assert (!stopped);
    dirty = false;
    if
    :: posted ->
        posted = false;
        lock ();
        open = false;
        unlock ();
        gone ()
    :: else
    fi
}

/* append: under the lock, and only while the session is open. */
inline put ()
{
    lock ();
    if
    :: open ->
        if
        :: !dirty ->
            assert (!stopped && !freed);
            dirty = true;
            atomic {
                if
                :: asleep -> assert (!stopped); wake = true
                :: else
                fi
            }
        :: else
        fi
    :: else
    fi;
    unlock ()
}

proctype senderC () { put () }

proctype senderGo ()
{
    bool was, got;
    atomic {
        if
        :: holds > 0 -> holds++; got = true
        :: else -> got = false
        fi
    };
    if
    :: got ->
        put ();
        do /* TryFlush */
        :: atomic {
                assert (!stopped);
                if
                :: driver == NONE -> driver = FLUSHER
                :: else -> break
                fi
            };
            work ();
            atomic { assert (!stopped); driver = NONE };
            if
            :: !dirty && !posted -> break
            :: else
            fi
        od;
        leave ()
    :: else
    fi
}

proctype thread ()
{
    bool was;
    do
    :: stopping -> break
    :: else ->
        atomic {
            if
            :: driver == NONE -> driver = THREAD
            :: else -> goto again
            fi
        };
        work ();
        asleep = true;
        if
        :: dirty || posted || stopping
        :: else -> wake
        fi;
        atomic { asleep = false; wake = false };
        driver = NONE;
again:
        skip
    od;
    ended = true
}

proctype closer ()
{
    bool was;
    closed = true;
    posted = true;
    atomic {
        if
        :: asleep -> wake = true
        :: else
        fi
    };
    gone ();
    freed; /* Term waits */
    stopping = true;
    wake = true;
    ended;
    atomic { assert (driver == NONE); stopped = true }
}

init
{
    atomic {
        run thread ();
        run senderC ();
        run senderGo ();
        run senderGo ();
        run closer ()
    }
}
