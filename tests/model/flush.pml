// spin: -DSAFETY -DCOLLAPSE
// mutate: detach does not hold a session that is on the list: s/:: dirty\[s\] -> refs\[s\]++/:: dirty[s] -> skip/
// mutate: senders compare no serial and id: s/:: id\[s\] == meant .. open\[s\] ->/:: open[s] ->/
// mutate: the push comes after the lock was given back: s/^                dirty\[s\] = true;/                dirty[s] = true; unlock (s);/; s/^        unlock (s);/        if :: locked[s] -> unlock (s) :: else fi;/
// mutate: the mark goes before the link is read: s/^        list = link_\[s\];.*//; s/^        unlock (s)$/        unlock (s); list = link_[s]/
// mutate: the mark stays when the queue is held: s/atomic { dirty.s. = false; listed/atomic { dirty[s] = held[s]; listed/
/* SPDX-License-Identifier: MPL-2.0 */
/* The list of sessions to flush (core/engine/send.go, core/shm/append.go), with
 * connections that end and slots that come back: two senders append to the
 * connections that they know by slot and id, the driver takes the list and
 * flushes, ends a connection at any time, puts another socket's into its slot,
 * and stops when no connection is left. The kernel may take nothing of a connection:
 * then its queue is held (core/engine/hold.go), and senders put it on no list.
 *
 * Shown: a session is never on the list twice (which would make the list a ring);
 * a slot is not reused while it is on the list; what a sender appends goes to the
 * connection that it meant, or is refused; the shard is woken only before
 * it is stopped; and when all is over every message was written. */

#define SLOTS 2
#define NIL 0
#define ASLEEP 9
#define REUSES 1 /* connections that come into a slot again */
#define SENDS 2  /* of each sender */

byte head = NIL;
byte link_[SLOTS + 1];
bool dirty[SLOTS + 1];
bool held[SLOTS + 1];
byte refusals = 1; /* of the kernel, to come */
bool locked[SLOTS + 1];
byte id[SLOTS + 1];    /* the connection in the slot: socket's serial and routing id in one */
bool open[SLOTS + 1];
byte queue[SLOTS + 1];
byte refs[SLOTS + 1];
byte wakes = 0;
byte appended = 0, written = 0;
bool listed[SLOTS + 1]; /* what the list really holds */
bool stopped = false;
byte senders = 2;

inline lock (s) { atomic { !locked[s]; locked[s] = true } }
inline unlock (s) { locked[s] = false }

/* meant: the id of the connection that the sender found in slot s before. */
proctype sender (byte a; byte b)
{
    byte s = a, meant, old, sent = 0;
    do
    :: sent < SENDS ->
        meant = s; /* the first connection of the slot, which may be gone */
        lock (s);
        if
        :: id[s] == meant && open[s] -> /* names */
            atomic { assert (id[s] == meant); queue[s]++; appended++ };
            if
            ::  !dirty[s] && !held[s] ->
                dirty[s] = true;
                do
                :: old = head;
                    if
                    :: old == ASLEEP -> link_[s] = NIL
                    :: else -> link_[s] = old
                    fi;
                    atomic {
                        if
                        :: head == old ->
                            assert (!listed[s]);
                            listed[s] = true;
                            head = s;
                            break
                        :: else
                        fi
                    }
                od;
                if
                :: old == ASLEEP ->
                    assert (!stopped);
                    wakes++
                :: else
                fi
            :: else
            fi
        :: else -> skip /* refused */
        fi;
        unlock (s);
        sent++;
        s = b
    :: else -> break
    od;
    senders--
}

/* flushDirty: takes the list and flushes each. */
inline flushDirty ()
{
    atomic { list = head; head = NIL };
    do
    :: list != NIL ->
        s = list;
        list = link_[s]; /* before the mark goes */
        lock (s);
        atomic { dirty[s] = false; listed[s] = false };
        if
        :: !open[s] -> refs[s]-- /* detach kept it for the list */
        :: open[s] && !held[s] ->
            atomic { written = written + queue[s]; queue[s] = 0 }
        :: open[s] && held[s] -> skip /* until the kernel takes bytes again */
        fi;
        unlock (s)
    :: else -> break
    od
}

proctype driver ()
{
    byte list, s, reuses = 0;
    bool sleep = false;
    do
    :: !open[1] && !open[2] && refs[1] == 0 && refs[2] == 0 && reuses == REUSES -> break
    :: head != NIL && head != ASLEEP -> flushDirty ()
    :: open[1] || open[2] -> /* a connection ends: detach, then release */
        if
        :: open[1] -> s = 1
        :: open[2] -> s = 2
        fi;
        lock (s);
        atomic { open[s] = false; held[s] = false };
        atomic { written = written + queue[s]; queue[s] = 0 }; /* takeMain: the rest goes out */
        if
        :: dirty[s] -> refs[s]++
        :: else
        fi;
        unlock (s);
        refs[s]--
    :: refusals > 0 && (open[1] || open[2]) -> /* it took nothing of what was written */
        if
        :: open[1] -> s = 1
        :: open[2] -> s = 2
        fi;
        lock (s);
        atomic { refusals--; held[s] = true };
        unlock (s)
    :: held[1] || held[2] -> /* the kernel takes bytes again */
        if
        :: held[1] -> s = 1
        :: held[2] -> s = 2
        fi;
        lock (s);
        atomic { held[s] = false; written = written + queue[s]; queue[s] = 0 };
        unlock (s)
    :: reuses < REUSES && (refs[1] == 0 || refs[2] == 0) -> /* a free slot gets another connection */
        if
        :: refs[1] == 0 -> s = 1
        :: refs[2] == 0 -> s = 2
        fi;
        assert (!listed[s]);
        lock (s);
        atomic { id[s] = s + 4; open[s] = true; dirty[s] = false; refs[s] = 1; reuses++ };
        unlock (s)
    :: head == NIL && senders > 0 ->
        atomic {
            if
            :: head == NIL -> head = ASLEEP; sleep = true
            :: else
            fi
        };
        if
        :: sleep ->
            do
            :: wakes > 0 -> wakes--; break
            :: true -> break /* something else of the kernel's */
            od;
            sleep = false;
            atomic {
                if
                :: head == ASLEEP -> head = NIL
                :: else
                fi
            }
        :: else
        fi
    od;
    /* All parts of the sockets are gone: Stop. */
    stopped = true;
    senders == 0;
    assert (head == NIL);
    assert (appended == written)
}

init
{
    atomic {
        id[1] = 1; open[1] = true; refs[1] = 1;
        id[2] = 2; open[2] = true; refs[2] = 1;
        run driver ();
        run sender (1, 2);
        run sender (2, 1)
    }
}
