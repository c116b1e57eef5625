"""Large pieces of objects, read once for all the small ones in them."""

from __future__ import annotations

import threading
from collections import OrderedDict

from pipeline.errors import ImageError
from pipeline.storage.folder import Folder

WINDOW = 32 << 20
"""Bytes of a request: most shards of thumbnails are a few of them."""
KEPT = 4
"""Windows in memory at a time."""


class _Window:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.data: bytes | None = None


class Windows:
    """``read(key, version, start, end)``, on any thread: neighbours share a request.

    On a disk of this machine nothing is kept: the system does that.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._windows: OrderedDict[tuple[str, str, int], _Window] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, key: str, version: str, start: int, end: int) -> bytes:
        """Bytes of an object at a version. ``ImageError`` with ``CHANGED`` where it has another by now."""
        if self._folder.is_local or end - start > WINDOW:
            return self._checked(key, version, start, end)
        first, last = start // WINDOW, max(end - 1, start) // WINDOW
        pieces = [self._window(key, version, place) for place in range(first, last + 1)]
        skipped = start - first * WINDOW
        return (
            b"".join(pieces)[skipped : skipped + end - start]
            if len(pieces) > 1
            else (pieces[0][skipped : skipped + end - start])
        )

    def _window(self, key: str, version: str, place: int) -> bytes:
        with self._lock:
            window = self._windows.setdefault((key, version, place), _Window())
            self._windows.move_to_end((key, version, place))
            while len(self._windows) > KEPT:
                self._windows.popitem(last=False)
        with window.lock:
            if window.data is None:
                window.data = self._checked(key, version, place * WINDOW, (place + 1) * WINDOW)
            return window.data

    def _checked(self, key: str, version: str, start: int, end: int) -> bytes:
        """Looked at afterwards: an object is replaced as a whole, so what was read before was of it."""
        data = self._folder.part(key, start, end)
        now = self._folder.entry(key).version
        if version and now and now != version:
            raise ImageError("CHANGED", "another shard than the one that was listed; run the job again")
        return data
