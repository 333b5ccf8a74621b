// spin: -DSAFETY
/* SPDX-License-Identifier: MPL-2.0 */
/* The list of sessions to flush (core/engine/send.go, core/shm/append.go): two
 * senders append to two sessions, the driver takes the list and flushes.
 *
 * Shown: a session is never put on the list while it is on it (which would
 * make the list a ring), and when all is over every message was written. */

#define SESSIONS 2
#define NIL 0
#define ASLEEP 9

byte head = NIL;
byte link_[SESSIONS + 1];
bool dirty[SESSIONS + 1];
bool locked[SESSIONS + 1];
byte queue[SESSIONS + 1];
byte written = 0;
byte wakes = 0;
bool listed[SESSIONS + 1]; /* what the list really holds */

#define MESSAGES 4

inline lock (s) { atomic { !locked[s]; locked[s] = true } }
inline unlock (s) { locked[s] = false }

proctype sender (byte a; byte b)
{
    byte s = a, old, sent = 0;
    bool first;
    do
    :: sent < 2 ->
        lock (s);
        queue[s]++;
        first = !dirty[s];
        dirty[s] = true;
        unlock (s);
        if
        :: first ->
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
            :: old == ASLEEP -> wakes++
            :: else
            fi
        :: else
        fi;
        sent++;
        s = b
    :: else -> break
    od
}

active proctype driver ()
{
    byte list, s;
    bool sleep = false;
    do
    :: written == MESSAGES -> break
    :: else ->
        if
        :: head != NIL && head != ASLEEP ->
            atomic { list = head; head = NIL };
            do
            :: list != NIL ->
                s = list;
                list = link_[s]; /* before the mark goes */
                lock (s);
                atomic { dirty[s] = false; listed[s] = false };
                written = written + queue[s];
                queue[s] = 0;
                unlock (s)
            :: else -> break
            od
        :: else ->
            atomic {
                if
                :: head == NIL -> head = ASLEEP; sleep = true
                :: else
                fi
            };
            if
            :: sleep -> wakes > 0; wakes--; sleep = false
            :: else
            fi
        fi
    od;
    assert (queue[1] == 0 && queue[2] == 0)
}

init
{
    atomic {
        run sender (1, 2);
        run sender (2, 1)
    }
}
