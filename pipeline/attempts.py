"""How often a unit was begun and not committed: how a unit that kills its process is found out.

The count lies in the books, so it outlives the process, the node and the driver.
"""

from __future__ import annotations

from pipeline.storage import Folder

ATTEMPTS = "attempts"


class Attempts:
    """Counts of units in flight; a committed unit has none."""

    def __init__(self, books: Folder) -> None:
        self._books = books

    def begin(self, unit_id: str) -> int:
        """Notes a new attempt; returns how many before it never came to a commit."""
        key = f"{ATTEMPTS}/{unit_id}"
        try:
            before = int(self._books.read(key))
        except FileNotFoundError:
            before = 0
        self._books.put(key, str(before + 1).encode())
        return before

    def end(self, unit_id: str) -> None:
        """Forgets a unit that is committed, or that was left on purpose."""
        self._books.delete(f"{ATTEMPTS}/{unit_id}")
