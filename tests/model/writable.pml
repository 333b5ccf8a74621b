// spin: -DSAFETY
// mutate: the sender does not look again after its mark: s/stuck = queued >= BOUND; .. look again/skip/
// mutate: the sender looks again before its mark: s/marked = true; refusals++ .. mark/stuck = queued >= BOUND/; s/stuck = queued >= BOUND; .. look again/if :: others :: !others -> marked = true; refusals++ fi;/
// mutate: a sender that finds room takes away the mark of the other: s/:: !stuck \&\& others -> lock = false/:: !stuck \&\& others -> unmark (); lock = false/
// mutate: the driver looks for marks before it stores what it has written: s/queued--; look = refusals/look = refusals; queued--/
// mutate: the driver takes the mark and pushes nothing: s/:: !up -> up = true; inbox++/:: !up -> skip/
// mutate: room behind an unread connect event is forgotten: s/:: up \&\& connected -> owed = true/:: up \&\& connected -> skip/
// mutate: the receiver does not take what it is owed: s/connected = false; inbox++/connected = false/
// mutate: the receiver ends the event after it has told of it: s/take_up (); tell ()/tell (); take_up ()/
// mutate: the end of the session leaves its mark: s/closed = true; unmark ();/closed = true;/
/* SPDX-License-Identifier: MPL-2.0 */
/* Room again: a sender whose peer's queue is full gets EAGAIN, and waits for RunWritable or
 * for the end of the peer. Sender: Append and Refuse in core/shm. Driver: advance in
 * core/engine/send.go, offerRoom in core/engine/room.go, and GiveRoom. Receiver: TakeUp, and
 * take_up in capi/frames.c; what it has taken it tells when its call returns. The driver
 * stores what it has written without the session's lock.
 *
 * Two senders share the queue, the mark, and the event that tells both. One that finds room
 * when it looks again must leave a mark that was there before.
 *
 * The queue takes one message, so that the last write is also the one that makes room. The connect event is
 * unread at first, because a sender may know the peer from elsewhere. The peer may
 * end, at any time.
 *
 * Shown: a sender that was refused is told of room, or of the end; one that waits for ever
 * would be an invalid end state. At the end no mark is left. */

#define BOUND 1
#define MESSAGES 2 /* of each sender */
#define SENDERS 2

byte queued;           /* TxQueued - TxDone */
byte refusals;         /* TxRefusals */
bool lock, marked;     /* TxLock, MarkRefused */
bool up = true, connected = true, owed; /* MarkUp, the kind of Up, MarkOwed */
byte inbox = 1;        /* Up, in the inbox or in the receiver's hand */
bool closed, down;     /* the end, and its event */
bool told[SENDERS], over; /* the senders know of room; of the end */
byte sent;             /* senders that are done */

inline acquire () { atomic { !lock -> lock = true } }
inline unmark () { if :: marked -> marked = false; refusals-- :: else fi }

proctype sender (byte me)
{
    byte i;
    bool stuck, others;
    do
    :: i < MESSAGES ->
        acquire ();
        if
        :: closed -> lock = false; break
        :: else
        fi;
        stuck = queued >= BOUND;
        if
        :: !stuck -> atomic { queued++; i++; lock = false }
        :: stuck ->
            told[me] = false;
            others = marked;
            if
            :: others
            :: !others -> marked = true; refusals++ // mark
            fi;
            stuck = queued >= BOUND; // look again
            if
            :: stuck -> lock = false; told[me] || over
            :: !stuck && others -> lock = false
            :: !stuck && !others -> unmark (); lock = false
            fi
        fi
    :: else -> break
    od;
    sent++
}

active proctype driver ()
{
    byte look;
    bool ends;
    if :: ends = false :: ends = true fi;
    do
    :: queued > 0 ->
        queued--; look = refusals;
        if
        :: look > 0 ->
            acquire ();
            if
            :: marked && queued < BOUND ->
                unmark ();
                if
                :: !up -> up = true; inbox++
                :: up && connected -> owed = true
                :: else
                fi
            :: else
            fi;
            lock = false
        :: else
        fi
    :: ends -> acquire (); closed = true; unmark (); lock = false; break
    :: queued == 0 && sent == SENDERS -> break
    od;
    down = true
}

inline take_up ()
{
    acquire ();
    if
    :: owed -> owed = false; connected = false; inbox++
    :: else -> up = false; connected = false
    fi;
    lock = false
}

inline tell () { if :: kind -> skip :: else -> atomic { told[0] = true; told[1] = true } fi }

active proctype receiver ()
{
    bool kind;
    do
    :: inbox > 0 ->
        kind = connected;
        inbox--;
        take_up (); tell ()
    :: inbox == 0 && down -> over = true; break
    od;
    sent == SENDERS;
    assert (!marked && refusals == 0)
}

init { atomic { run sender (0); run sender (1) } }
