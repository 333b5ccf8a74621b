// SPDX-License-Identifier: MPL-2.0
package io.github.zlink;

/** A call that failed: an errno, and in detail one sentence about what was wrong, or "". */
public final class ZlinkException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** Those that programs decide by. */
    public static final int EINTR = 4;
    public static final int EAGAIN = 11;
    public static final int ENOMEM = 12;
    public static final int EFAULT = 14;
    public static final int EINVAL = 22;
    public static final int ENOTSOCK = 88;
    public static final int EMSGSIZE = 90;
    public static final int EADDRINUSE = 98;
    public static final int ENOBUFS = 105;
    public static final int EHOSTUNREACH = 113;
    public static final int EFSM = 156384763;
    public static final int ETERM = 156384765;

    private final int errno;
    private final String detail;

    ZlinkException(int errno, String text, String detail) {
        super(detail.isEmpty() ? text : text + ": " + detail);
        this.errno = errno;
        this.detail = detail;
    }

    /** For native.c. */
    static ZlinkException of(int errno, byte[] text, byte[] detail) {
        return new ZlinkException(errno, Native.string(text), Native.string(detail));
    }

    public int errno() {
        return errno;
    }

    public String detail() {
        return detail;
    }

    /** There is no such peer, or no longer. */
    public boolean isPeerGone() {
        return errno == EHOSTUNREACH;
    }

    /** The context was shut down. */
    public boolean isEnded() {
        return errno == ETERM;
    }
}
