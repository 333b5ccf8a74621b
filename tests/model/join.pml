// spin: -DSAFETY -DCOLLAPSE
// mutate: a block comes back from the dead: s/ && refs\[m\] > 0 / /
// mutate: the last reference leaves the block open: s/:: open == m -> open = NIL/:: open == m -> skip/
// mutate: the memory goes before the place is left: s/^        lock ();  .. to leave ../        give (m); lock ();/; s/^        give (m)$/        skip/
// mutate: two take the same room: s/^        lock ();  .. to join ../        lock (); unlock ();/; s/^        unlock ();  .. joined ../        skip;/
// mutate: a queue gets what lies between: s/ && at\[LAST\] + size\[LAST\] == place//
// mutate: a queue has no reference of its own: s/refs\[m\]++;  .. the queue's ../skip;/
// mutate: what is written stays in the queue: s/^            n\[p\] = 0$/            n[p] = 1/
/* SPDX-License-Identifier: MPL-2.0 */
/* Messages to many that lie behind each other (core/shm/join.go, core/shm/cast.go): callers
 * put theirs into the open block, or open another one, append them to the queues of the
 * peers, which may be full, and let go. The driver takes queues and writes them. Whoever drops
 * the last reference has the block leave its place and gives the memory back, which the next
 * caller may get for another block.
 *
 * Shown: a peer gets each message that its queue took, once, those of a caller in order,
 * and no other bytes; nobody refers to memory that went back, and it is not open. */

#define BLOCKS 2
#define ROOM 2 /* messages in a block */
#define PEERS 2
#define CALLERS 2
#define CALLS 3 /* of all callers */
#define CHUNKS CALLS
#define NIL 9

byte open = NIL; /* Queues.TxJoin */
bool locked = false; /* castLock */
bool taken[BLOCKS]; /* somebody has the memory */
byte refs[BLOCKS];
byte used[BLOCKS];
byte bytes[BLOCKS * ROOM]; /* the caller and its call, from 1 on */
byte refusals = 1; /* refusals to come */

/* The main queue of each peer: n chunks, each with a place in a block and a length. */
byte n[PEERS];
byte block[PEERS * CHUNKS], at[PEERS * CHUNKS], size[PEERS * CHUNKS];
#define LAST (p * CHUNKS + n[p] - 1)

byte took[PEERS], got[PEERS];
byte heard[PEERS * CALLERS]; /* the last call of each caller */
byte callers = CALLERS;

inline lock () { atomic { !locked; locked = true } }
inline unlock () { locked = false }

/* give: the memory is the next one's. */
inline give (m)
{
    atomic {
        assert (taken[m] && refs[m] == 0 && open != m);
        taken[m] = false;
        bytes[m * ROOM] = 0;
        bytes[m * ROOM + 1] = 0
    }
}

inline release (m)
{
    atomic {
        assert (refs[m] > 0);
        refs[m]--;
        over = refs[m] == 0
    };
    if
    :: over ->
        lock ();  /* to leave */
        if
        :: open == m -> open = NIL
        :: else
        fi;
        unlock ();
        give (m)
    :: else
    fi
}

proctype caller (byte me; byte calls)
{
    byte m, place, p, call = 1;
    bool over;
    do
    :: call <= calls ->
        lock ();  /* to join */
        m = open;
        if
        :: atomic { m != NIL && refs[m] > 0 && used[m] < ROOM -> refs[m]++ }
        :: else -> m = NIL
        fi;
        if
        :: m != NIL ->
            place = used[m];
            used[m] = place + 1
        :: else
        fi;
        unlock ();  /* joined */
        if
        :: m == NIL -> /* another block */
            atomic {
                if
                :: !taken[0] -> m = 0
                :: !taken[1] -> m = 1
                fi;
                assert (open != m && refs[m] == 0);
                taken[m] = true;
                refs[m] = 1;
                used[m] = 1;
                place = 0
            };
            lock ();
            open = m;
            unlock ()
        :: else
        fi;
        assert (bytes[m * ROOM + place] == 0);
        bytes[m * ROOM + place] = me * 16 + call;
        p = 0;
        do
        :: p < PEERS ->
            atomic { /* the session's lock */
                if
                :: refusals > 0 -> refusals-- /* it is refused */
                :: true ->
                    took[p]++;
                    if
                    :: n[p] > 0 && block[LAST] == m && at[LAST] + size[LAST] == place -> size[LAST]++
                    :: else ->
                        refs[m]++;  /* the queue's */
                        assert (n[p] < CHUNKS);
                        n[p]++;
                        block[LAST] = m;
                        at[LAST] = place;
                        size[LAST] = 1
                    fi
                fi
            };
            p++
        :: else -> break
        od;
        release (m);
        atomic { m = 0; place = 0; p = 0; over = false; call++ }
    :: else -> break
    od;
    callers--
}

proctype driver ()
{
    byte p, i, j, m, from, what, total;
    bool over;
    byte out[CHUNKS], begin[CHUNKS], much[CHUNKS];
    do
    :: n[0] > 0 || n[1] > 0 ->
        atomic { /* takeMain */
            if
            :: n[0] > 0 -> p = 0
            :: n[1] > 0 -> p = 1
            fi;
            total = n[p];
            i = 0;
            do
            :: i < total ->
                out[i] = block[p * CHUNKS + i];
                begin[i] = at[p * CHUNKS + i];
                much[i] = size[p * CHUNKS + i];
                block[p * CHUNKS + i] = 0; at[p * CHUNKS + i] = 0; size[p * CHUNKS + i] = 0;
                i++
            :: else -> break
            od;
            i = 0;
            n[p] = 0
        };
        do
        :: i < total ->
            atomic { /* the kernel has it */
                m = out[i];
                assert (taken[m] && refs[m] > 0);
                j = 0;
                do
                :: j < much[i] ->
                    what = bytes[m * ROOM + begin[i] + j];
                    assert (what > 0);
                    from = p * CALLERS + what / 16;
                    assert (what % 16 > heard[from]);
                    heard[from] = what % 16;
                    got[p]++;
                    j++
                :: else -> break
                od;
                out[i] = 0; begin[i] = 0; much[i] = 0; j = 0; what = 0; from = 0
            };
            release (m);
            atomic { m = 0; over = false; i++ }
        :: else -> break
        od;
        atomic { i = 0; p = 0; total = 0 }
    :: callers == 0 && n[0] == 0 && n[1] == 0 -> break
    od;
    assert (got[0] == took[0] && got[1] == took[1]);
    assert (open == NIL && !taken[0] && !taken[1])
}

init
{
    atomic {
        run caller (0, 2);
        run caller (1, 1);
        run driver ()
    }
}
