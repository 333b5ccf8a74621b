// spin: -DSAFETY
// mutate: the taker sleeps without a look: s/:: head == NIL -> head = ASLEEP; sleeping = true/:: true -> head = ASLEEP; sleeping = true/
// mutate: a push that replaces asleep wakes nobody: s/:: old == ASLEEP -> wakes++/:: old == ASLEEP -> skip/
// mutate: a closed inbox takes on: s/atomic { list = head; head = CLOSED }/atomic { list = head; head = NIL }/
/* SPDX-License-Identifier: MPL-2.0 */
/* The inbox of core/shm/inbox.go: two threads push nodes, one takes the whole
 * list, sleeps when there is none, and closes it at any time. Each step below is
 * one atomic operation of the code.
 *
 * Shown: every node is taken exactly once or refused, and none stays in a closed
 * inbox; nobody is woken who has not said that he sleeps, and the taker never
 * sleeps for ever while a node is there (a lost wake-up would be an invalid end
 * state). */

#define PUSHERS 2
#define EACH 2
#define NODES 4

#define NIL 0
#define ASLEEP 9
#define CLOSED 10

byte head = NIL;
byte next[NODES + 1];
bool taken[NODES + 1];
bool refused[NODES + 1];
byte done = 0;  /* nodes that were taken or refused */
byte wakes = 0; /* the futex or eventfd: a counter of wake-ups sent */
bool sleeping = false;

proctype pusher (byte first)
{
    byte node = first, old;
    do
    :: node < first + EACH ->
        do
        :: old = head;
            if
            :: old == CLOSED ->
                atomic { assert (!taken[node]); refused[node] = true; done++ };
                break
            :: old == ASLEEP -> next[node] = NIL
            :: else -> next[node] = old
            fi;
            atomic {
                if
                :: head == old -> head = node; break
                :: else
                fi
            }
        od;
        if
        :: old == ASLEEP -> wakes++
        :: else
        fi;
        node++
    :: else -> break
    od
}

inline walk ()
{
    do
    :: list != NIL ->
        atomic {
            assert (!taken[list] && !refused[list]);
            taken[list] = true;
            done++;
            list = next[list]
        }
    :: else -> break
    od
}

active proctype taker ()
{
    byte list;
    do
    :: done == NODES -> break
    :: true -> /* closeInbox, when the socket is closed */
        atomic { list = head; head = CLOSED };
        if
        :: list == ASLEEP -> list = NIL
        :: else
        fi;
        walk ();
        break
    :: done < NODES ->
        if
        :: head != NIL && head != ASLEEP ->
            atomic { list = head; head = NIL };
            walk ()
        :: else ->
            /* Sleep: mark, which looks once more, then wait. */
            atomic {
                if
                :: head == NIL -> head = ASLEEP; sleeping = true
                :: else
                fi
            };
            if
            :: sleeping ->
                wakes > 0;
                wakes--;
                sleeping = false;
                assert (wakes == 0)
            :: else
            fi
        fi
    od
}

/* When nothing moves any more. */
active proctype judge ()
{
    timeout;
    assert (done == NODES);
    assert (head == NIL || head == CLOSED)
}

init
{
    atomic {
        run pusher (1);
        run pusher (1 + EACH)
    }
}
