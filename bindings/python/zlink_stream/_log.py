# SPDX-License-Identifier: MPL-2.0
"""What happens at all sockets of the process, for the module logging."""

from __future__ import annotations

import atexit
import errno
import logging
import sys
import threading
from typing import Any, Optional

from . import _native
from ._errors import EFSM, ZlinkError, check

_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}
_lock = threading.Lock()
_kept: Any = None  # the function that C has
_running = threading.local()  # it runs in this thread


def set_logger(logger: Optional[logging.Logger], level: Optional[int] = None) -> None:
    """Has a logger get what happens at all sockets of the process, up to a level of the module logging; without one,
    that which the logger has now. None ends it.

    Handlers run on a thread of the library, one record after another, and hold up no socket: what is more than 100
    records a second is counted. They may use sockets, but not call this (EFSM). When this returns, the logger before
    gets nothing any more."""
    global _kept
    if getattr(_running, "now", False):
        raise ZlinkError(EFSM, "a handler of the log cannot replace it")
    function = _native.LogFunction(0)
    wanted = 0
    if logger is not None:
        level = logger.getEffectiveLevel() if level is None else level
        wanted = max((number for number, its in _LEVELS.items() if its >= level), default=0)
        function = _native.LogFunction(_teller(logger))
    with _lock:
        check(_native.set_log(function, wanted, None))
        _kept = function


def _teller(logger: logging.Logger) -> Any:
    def tell(level: int, line: bytes, _: Any) -> None:
        _running.now = True
        try:
            logger.log(_LEVELS[level], "%s", line.decode(errors="replace"))
        except Exception:  # C has nobody to tell
            sys.excepthook(*sys.exc_info())
        finally:
            _running.now = False

    return tell


def _end() -> None:
    """Afterwards no thread of C may call Python."""
    try:
        if _kept is not None:
            set_logger(None)
    except ZlinkError as error:
        if error.errno != errno.ENOTSUP:  # a child of fork, which has no such thread
            raise


atexit.register(_end)
