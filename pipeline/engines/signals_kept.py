"""What a process does at Ctrl-C and SIGTERM, kept over a library that puts its own handlers in their place.

Ray's core does so as it connects: a polite kill then ended the run at once, with a trace of Ray's own, and no
word on how to go on. Python itself can set handlers on the main thread alone, and Ray connects on another.
"""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_ROOM = 1024
"""Bytes, more than any system's ``struct sigaction`` has."""
_KEPT = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_kept() -> Iterator[None]:
    """Whatever happens inside, both have the handlers of before at its end; on any thread."""
    sigaction = ctypes.CDLL(None).sigaction
    before = {number: ctypes.create_string_buffer(_ROOM) for number in _KEPT}
    known = [number for number, action in before.items() if sigaction(int(number), None, action) == 0]
    try:
        yield
    finally:
        for number in known:
            sigaction(int(number), before[number], None)
