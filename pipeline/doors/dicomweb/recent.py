"""Objects that were just read: their beginnings are looked at before they are read as a whole."""

from __future__ import annotations

import threading
from collections import OrderedDict

KEPT = 128 << 20
"""Bytes in memory; a larger series is read twice."""


class Recent:
    """``put(at, data)``, then ``take(at)`` once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def put(self, at: str, data: bytes) -> None:
        """Drops the oldest where there is no room."""
        with self._lock:
            self._drop(at)
            self._kept[at] = data
            self._bytes += len(data)
            while self._bytes > KEPT:
                self._drop(next(iter(self._kept)))

    def take(self, at: str) -> bytes | None:
        """What is kept of it, which is then forgotten."""
        with self._lock:
            return self._drop(at)

    def _drop(self, at: str) -> bytes | None:
        data = self._kept.pop(at, None)
        self._bytes -= len(data or b"")
        return data
