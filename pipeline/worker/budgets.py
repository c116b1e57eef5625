"""Bytes that may wait between two stations of a replica: one item always goes, however large."""

from __future__ import annotations

import threading
from dataclasses import dataclass

FETCHED_BYTES = 64 << 20
"""Of files that are being fetched or wait for a core to decode them."""
DECODED_BYTES = 256 << 20
"""Of pixels that are being decoded or wait for the device."""
RESTORED_BYTES = 256 << 20
"""Of pixels that wait to be encoded and stored; the device waits above that."""


@dataclass
class Budget:
    """Counted by one thread, which asks before it takes."""

    most: int
    held: int = 0

    def has_room_for(self, size: int) -> bool:
        """Whether so many more bytes may wait."""
        return self.held == 0 or self.held + size <= self.most

    def take(self, size: int) -> None:
        """So many bytes wait from now on."""
        self.held += size

    def give_back(self, size: int) -> None:
        """They wait no more."""
        self.held -= size


class WaitingBudget:
    """Counted by several threads: ``take`` returns once there is room."""

    def __init__(self, most: int) -> None:
        self._budget = Budget(most)
        self._changed = threading.Condition()
        self._open = False

    def take(self, size: int) -> None:
        """Waits until so many more bytes may wait."""
        with self._changed:
            self._changed.wait_for(lambda: self._open or self._budget.has_room_for(size))
            self._budget.take(size)

    def give_back(self, size: int) -> None:
        """They wait no more."""
        with self._changed:
            self._budget.give_back(size)
            self._changed.notify_all()

    def open(self) -> None:
        """Nobody waits from now on: the work was given up."""
        with self._changed:
            self._open = True
            self._changed.notify_all()
