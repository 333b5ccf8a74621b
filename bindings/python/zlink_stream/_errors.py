# SPDX-License-Identifier: MPL-2.0
"""What calls raise."""

from __future__ import annotations

import ctypes
import errno

from . import _native

ETERM = 156384765
EFSM = 156384763


class ZlinkError(OSError):
    """A call that failed: errno, and in detail one sentence about what was wrong, or ""."""

    detail: str

    def __init__(self, code: int, detail: str = "") -> None:
        text = _native.strerror(code).decode()
        super().__init__(code, f"{text}: {detail}" if detail else text)
        self.detail = detail


class Again(ZlinkError):
    """EAGAIN: the call would have had to wait (longer)."""


class PeerGone(ZlinkError):
    """EHOSTUNREACH: there is no such peer, or no longer."""


class Ended(ZlinkError):
    """ETERM: the context was shut down."""


_CLASSES = {errno.EAGAIN: Again, errno.EHOSTUNREACH: PeerGone, ETERM: Ended}


def of(code: int) -> ZlinkError:
    """The calling thread's last call failed with code."""
    detail = _native.error_detail().decode(errors="replace")
    return _CLASSES.get(code, ZlinkError)(code, detail)


def last() -> ZlinkError:
    return of(ctypes.get_errno())


def check(result: int) -> int:
    """The result of a function of C; -1 raises."""
    if result < 0:
        raise last()
    return result


def was_there(result: int) -> bool:
    """The same of a function that ends a peer: whether there was one."""
    if result < 0 and ctypes.get_errno() == errno.EHOSTUNREACH:
        return False
    check(result)
    return True
