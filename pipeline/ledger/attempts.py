"""How often a unit was begun and not committed: how a unit that kills its process is found out.

The count is stored in the run folder, so it outlives the process, the node and the driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.storage.folder import Folder

ATTEMPTS = "attempts"
ATTEMPTS_TOGETHER = 2
"""How often a unit may kill its process before what it holds is processed apart, in one of its own."""


class Attempts:
    """Counts of units in flight; a committed unit has none."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    @contextmanager
    def counted(self, unit_id: str) -> Iterator[bool]:
        """Notes an attempt for as long as it lasts; tells whether the unit may be processed together.

        Only the death of the process leaves the count behind: an exception is no fault of an image.
        """
        before = self.begin(unit_id)
        try:
            yield before < ATTEMPTS_TOGETHER
        finally:
            self.end(unit_id)

    def begin(self, unit_id: str) -> int:
        """Notes a new attempt; returns how many before it never came to a commit."""
        key = f"{ATTEMPTS}/{unit_id}"
        try:
            before = int(self._folder.read(key))
        except FileNotFoundError:
            before = 0
        self._folder.put(key, str(before + 1).encode())
        return before

    def end(self, unit_id: str) -> None:
        """Forgets a unit that is committed, or that was left on purpose."""
        self._folder.delete(f"{ATTEMPTS}/{unit_id}")
