// spin: -DSAFETY -O2 -m1000000 -w24
// spin mutants: -DREVERSE -w22
// mutate: park does not look again after its mark: s/\(stalled\[s\] = mark; high = true\|throttled = true; low = true\)/\1; break/
// mutate: park marks one reason only: s/throttle && !low ->/throttle \&\& !low \&\& !high ->/
// mutate: the receiver looks for the marks before it changes the counts: s/\(atomic { bytes0.*bytes = waiting };\) \(mark = .*low = throttled;\)/\2 \1/
// mutate: resume takes the mark away when it has woken the shards: s/throttled = false; sh = 0;/sh = 0;/; s/:: else -> break \(.. woken\)/:: else -> throttled = false; break \1/
// mutate: resume wakes one shard only: s/:: sh < SHARDS ->/:: sh < 1 ->/
// mutate: a connection that stays full loses its mark: s/stalled\[s\] = mark; s++/stalled[s] = 0; s++/
// mutate: nobody waits for the last message: s/mark = 1 + low_of/mark = low_of/
// mutate: a shard looks for a receiver before it says that it sleeps: s/asleep\[sh\] = true; look = unpark\[sh\];/look = unpark[sh]; asleep[sh] = true;/
/* SPDX-License-Identifier: MPL-2.0 */
/* Parking: a shard stops reading a session that has RCVHWM messages or
 * STREAM_RECV_BYTES bytes waiting (RxStalled: fewer messages than that end it), and
 * every session of a socket that has much waiting
 * (RxThrottled); the receiver, when it has caught up, has them read again.
 * Shard: park, readParked and Resume in core/engine/parking.go, sleep in
 * core/engine/loop.go; what unpark says there is of which sockets, and here is
 * one. Receiver: release and resume in
 * core/sockets/stream/recv.go, and zl_finish_run in capi/frames.c, which does the
 * same steps in the same order. Each step below is one atomic operation.
 *
 * A socket has two sessions on one shard, of which one has a bound of two bytes and
 * three messages, the second of which is long: it alone is beyond the bound. RCVHWM is
 * the case in which all messages have the same size. A session on another shard has a
 * message that throttles.
 *
 * Shown: everything is read and taken. A parked session that nobody reads again
 * would be an invalid end state. */

#define SHARDS 2
#define SESSIONS 3
#define ALL 5      /* messages */
#define FULL 2     /* throttleBytes */
#define LOW 1      /* RxLow of the socket */
#define BOUND 2    /* STREAM_RECV_BYTES of session 0 */

#define shard_of(s) (s == 2)
#define size_of(s) (1 + (s == 2))

byte unread[SESSIONS] = 1; /* messages that the kernel has; three for session 0 */
byte inbox[SESSIONS];
bool parked[SESSIONS];

byte queued[SESSIONS]; /* RxQueued: messages */
byte bytes0;           /* and bytes of session 0 */
byte waiting;          /* RxWaiting */
byte stalled[SESSIONS]; /* 0, or 1 + the number of messages that ends it */
bool throttled;
bool unpark[SHARDS];
bool asleep[SHARDS];
byte wakes[SHARDS]; /* the poller's eventfd */

#define room(s) (s != 0 || queued[s] == 0 || bytes0 < BOUND) /* one look at one word */
#define low_of(s) (queued[s] / 2)
#define full (waiting >= FULL)
#define readable(s) (unread[s] > 0 && !parked[s])

inline receive (s)
{
    stall = !room (s); throttle = full;
    if
    :: !stall && !throttle ->
        atomic {
            bytes0 = bytes0 + (s == 0 -> (unread[s] == 2 -> 3 : 1) : 0);
            unread[s]--;
            queued[s]++
        };
        waiting = waiting + size_of (s);
        inbox[s]++
    :: else -> /* park */
        parked[s] = true;
        do
        :: stall = !room (s); throttle = full;
            if
            :: stall && !high -> mark = 1 + low_of (s); stalled[s] = mark; high = true
            :: !(stall && !high) && throttle && !low -> throttled = true; low = true
            :: !stall && !throttle -> unpark[sh] = true; break
            :: else -> break /* what holds was marked before this look */
            fi
        od
    fi;
    atomic { stall = false; throttle = false; high = false; low = false; mark = 0; s = 0 }
}

proctype shard (byte sh; byte first; byte last)
{
    bool stall, throttle, high, low, look;
    byte s, mark;
    do
    :: unpark[sh] -> unpark[sh] = false;
        s = first; /* readParked */
        do
        :: s <= last && stalled[s] > 0 && !room (s) -> /* staysFull: with a new mark */
            mark = 1 + low_of (s);
            stalled[s] = mark; s++
        :: s <= last && !(stalled[s] > 0 && !room (s)) ->
            atomic { parked[s] = false; stalled[s] = 0; s++ }
        :: s > last -> break /* turn over */
        od;
        atomic { s = 0; mark = 0 }
    :: readable (first) || readable (last) ->
        if
        :: readable (first) -> s = first
        :: readable (last) -> s = last
        fi;
        receive (s)
    :: !readable (first) && !readable (last) ->
        asleep[sh] = true; look = unpark[sh];
        if
        :: look -> atomic { asleep[sh] = false; look = false }
        :: else ->
end:        wakes[sh] > 0;
            wakes[sh]--
        fi
    od
}

#define took0(s) (s == 0 -> (taken0 == 1 -> 3 : 1) : 0)

inline take (s)
{
    atomic { inbox[s]--; taken++ };
    atomic { bytes0 = bytes0 - took0 (s); taken0 = taken0 + (s == 0); queued[s]--; messages = queued[s] }; atomic { waiting = waiting - size_of (s); bytes = waiting }; mark = stalled[s]; low = throttled;
    if
    :: messages < mark || low && bytes < LOW -> /* resume */
        throttled = false; sh = 0;
        do
        :: sh < SHARDS ->
            unpark[sh] = true;
            atomic {
                if
                :: asleep[sh] -> asleep[sh] = false; wakes[sh]++
                :: else
                fi;
                sh++
            }
        :: else -> break /* woken */
        od
    :: else
    fi;
    atomic { messages = 0; bytes = 0; mark = 0; low = false; sh = 0; s = 0 }
}

active proctype receiver ()
{
    byte taken, taken0, messages, bytes, mark, sh, s;
    bool low;
    do
    :: taken == ALL -> break
    :: else ->
        if
        :: inbox[0] > 0 -> s = 0
        :: inbox[1] > 0 -> s = 1
        :: inbox[2] > 0 -> s = 2
        fi;
        take (s)
    od
}

init
{
    atomic {
        unread[0] = 3;
        run shard (0, 0, 1);
        run shard (1, 2, 2)
    }
}
