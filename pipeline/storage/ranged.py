"""An object as a file to read and seek in, of which only what is read is fetched."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

Read = Callable[[int, int], bytes]
"""The bytes from ``start`` up to ``end``."""


class RangedFile(io.RawIOBase):
    """Reads by ``read(start, end)``, never beyond ``size``."""

    def __init__(self, read: Read, size: int) -> None:
        self._read, self._size, self._place = read, size, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where the next byte is."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Reads nothing."""
        self._place = max(0, offset + (0, self._place, self._size)[whence])
        return self._place

    def readall(self) -> bytes:
        """The rest, in one piece and not in many small ones."""
        return self._next(self._size)

    def readinto(self, buffer: Any) -> int:
        """As many bytes as the buffer holds, or as are left."""
        view = memoryview(buffer).cast("B")
        data = self._next(min(self._place + len(view), self._size))
        view[: len(data)] = data
        return len(data)

    def _next(self, end: int) -> bytes:
        data = self._read(self._place, end) if self._place < end else b""
        self._place += len(data)
        return data
