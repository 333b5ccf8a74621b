// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

import java.util.Arrays;

/** The counters of zlink_stream_stats: doc/api/fast.md. */
public final class Stats {
    public final long connections;
    public final long accepted;
    public final long dialled;
    public final long closed;
    public final long msgsIn;
    public final long msgsOut;
    public final long bytesIn;
    public final long bytesOut;
    public final long msgsQueued;
    public final long bytesQueued;
    public final long refused;
    public final long oversize;
    public final long memory;
    public final long abandoned;
    public final long turnedAway;
    public final long msgsDropped;
    public final long bytesDropped;
    public final long publishes;
    public final long deliveries;
    public final long undelivered;
    public final long replaced;
    private final long[] endedBy;

    Stats(long[] all) {
        int at = 0;
        connections = all[at++];
        accepted = all[at++];
        dialled = all[at++];
        closed = all[at++];
        msgsIn = all[at++];
        msgsOut = all[at++];
        bytesIn = all[at++];
        bytesOut = all[at++];
        msgsQueued = all[at++];
        bytesQueued = all[at++];
        refused = all[at++];
        oversize = all[at++];
        memory = all[at++];
        abandoned = all[at++];
        endedBy = Arrays.copyOfRange(all, at, at + 32);
        at += 32;
        turnedAway = all[at++];
        msgsDropped = all[at++];
        bytesDropped = all[at++];
        publishes = all[at++];
        deliveries = all[at++];
        undelivered = all[at++];
        replaced = all[at++];
    }

    /** Connections that ended for a reason. */
    public long endedBy(Reason reason) {
        return endedBy[reason.ordinal()];
    }
}
