"""How often a unit was begun and not committed: how a unit that kills its process is found out.

The count is stored in the run folder, so it outlives the process, the node and the driver. A committed unit
keeps its count until the run is done, so that one whose answer was lost is known again; then all are
forgotten at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pipeline.storage.folder import Folder

ATTEMPTS = "attempts"
ATTEMPTS_TOGETHER = 2
"""How often a unit may be under way when its process dies before what it holds is processed apart, each image
in a process of its own. The first time it may have been the fault of another; the second time it is alone."""


class Attempts:
    """Counts of the units of a run that is not done."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def begin(self, unit_id: str) -> int:
        """Notes the first attempt at a unit; how many there were before, none of which is noted again."""
        if self._folder.create(_key(unit_id), b"1"):
            return 0
        try:
            return int(self._folder.read(_key(unit_id)))
        except (FileNotFoundError, ValueError):
            return 1  # whoever wrote it is gone, or was cut off

    def begin_again(self, unit_id: str, before: int) -> None:
        """Notes another attempt at a unit that had so many."""
        self._folder.put(_key(unit_id), str(before + 1).encode())

    def end(self, unit_id: str) -> None:
        """Forgets a unit that was left on purpose: only the death of a process counts."""
        self._folder.delete(_key(unit_id))

    def forget_all(self) -> None:
        """Every unit of the run is committed."""
        self._folder.delete_all(self._folder.keys(ATTEMPTS))

    @contextmanager
    def counted(self, unit_id: str) -> Iterator[bool]:
        """Notes an attempt for as long as it lasts; tells whether the unit may be processed together."""
        before = self.begin(unit_id)
        if before:
            self.begin_again(unit_id, before)
        try:
            yield before < ATTEMPTS_TOGETHER
        finally:
            self.end(unit_id)

    def begun(self) -> set[str]:
        """Units that were begun and not left on purpose; committed ones too, of a run that did not end."""
        return {key.rsplit("/", 1)[-1] for key in self._folder.keys(ATTEMPTS)}

    def forget(self, unit_ids: Iterable[str]) -> None:
        """Forgets these units."""
        self._folder.delete_all([_key(each) for each in unit_ids])


def _key(unit_id: str) -> str:
    return f"{ATTEMPTS}/{unit_id}"
