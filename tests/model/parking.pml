// spin: -DSAFETY
// mutate: park does not look again after its mark: s/\(stalled\[s\] = true; high = true\|throttled = true; low = true\)/\1; break/
// mutate: park marks one reason only: s/throttle && !low ->/throttle \&\& !low \&\& !high ->/
// mutate: the receiver looks for the marks before it changes the counts: s/\(atomic { queued.*bytes = waiting };\) \(mark = .*low = throttled;\)/\2 \1/
// mutate: resume takes the mark away when it has woken the shards: s/throttled = false; sh = 0;/sh = 0;/; s/:: else -> break \(.. woken\)/:: else -> throttled = false; break \1/
// mutate: resume wakes one shard only: s/:: sh < SHARDS ->/:: sh < 1 ->/
// mutate: a shard looks for a receiver before it says that it sleeps: s/asleep\[sh\] = true; look = unpark\[sh\];/look = unpark[sh]; asleep[sh] = true;/
/* SPDX-License-Identifier: MPL-2.0 */
/* Parking: a shard stops reading a session that has RCVHWM messages waiting
 * (RxStalled), and every session of a socket that has much waiting
 * (RxThrottled); the receiver, when it has caught up, has them read again.
 * Shard: park, readParked and Resume in core/engine/parking.go, sleep in
 * core/engine/loop.go; what unpark says there is of which sockets, and here is
 * one. Receiver: release and resume in
 * core/sockets/stream/recv.go, and zl_finish_run in capi/frames.c, which does the
 * same steps in the same order. Each step below is one atomic operation.
 *
 * A socket has two sessions on one shard, of which one has an RCVHWM of one
 * message, and a session on another shard, each message of which throttles.
 *
 * Shown: everything is read and taken. A parked session that nobody reads again
 * would be an invalid end state. */

#define SHARDS 2
#define SESSIONS 3
#define ALL 4      /* messages */
#define FULL 2     /* throttleBytes */
#define LOW 1      /* RxLow of the socket */
#define LOW_MSGS 0 /* RxLow of session 0 */

#define shard_of(s) (s == 2)
#define size_of(s) (1 + (s == 2))

byte unread[SESSIONS] = 1; /* messages that the kernel has; two for session 0 */
byte inbox[SESSIONS];
bool parked[SESSIONS];

byte queued[SESSIONS]; /* RxQueued */
byte waiting;          /* RxWaiting */
bool stalled[SESSIONS], throttled;
bool unpark[SHARDS];
bool asleep[SHARDS];
byte wakes[SHARDS]; /* the poller's eventfd */

#define room(s) (s != 0 || queued[s] == 0)
#define full (waiting >= FULL)
#define readable(s) (unread[s] > 0 && !parked[s])

inline receive (s)
{
    stall = !room (s); throttle = full;
    if
    :: !stall && !throttle ->
        atomic { unread[s]--; queued[s]++ };
        waiting = waiting + size_of (s);
        inbox[s]++
    :: else -> /* park */
        parked[s] = true;
        do
        :: stall = !room (s); throttle = full;
            if
            :: stall && !high -> stalled[s] = true; high = true
            :: !(stall && !high) && throttle && !low -> throttled = true; low = true
            :: !stall && !throttle -> unpark[sh] = true; break
            :: else -> break /* what holds was marked before this look */
            fi
        od
    fi;
    atomic { stall = false; throttle = false; high = false; low = false; s = 0 }
}

proctype shard (byte sh; byte first; byte last)
{
    bool stall, throttle, high, low, look;
    byte s;
    do
    :: unpark[sh] -> unpark[sh] = false;
        s = first; /* readParked */
        do
        :: s <= last && stalled[s] && !room (s) -> s++ /* stays: its mark is there */
        :: s <= last && !(stalled[s] && !room (s)) ->
            atomic { parked[s] = false; stalled[s] = false; s++ }
        :: s > last -> break /* turn over */
        od;
        s = 0
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

inline take (s)
{
    atomic { inbox[s]--; taken++ };
    atomic { queued[s]--; messages = queued[s] }; atomic { waiting = waiting - size_of (s); bytes = waiting }; mark = stalled[s]; low = throttled;
    if
    :: mark && messages <= LOW_MSGS || low && bytes < LOW -> /* resume */
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
    atomic { messages = 0; bytes = 0; mark = false; low = false; sh = 0; s = 0 }
}

active proctype receiver ()
{
    byte taken, messages, bytes, sh, s;
    bool mark, low;
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
        unread[0] = 2;
        run shard (0, 0, 1);
        run shard (1, 2, 2)
    }
}
