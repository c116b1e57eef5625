"""What the results of a run are written as, below its output: whole objects, unless a door says otherwise.

An outlet is told of every result (``put``) and of every unit before it is committed (``finish``), so that
what describes or bundles results is there once the ledger says that they are done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from pipeline.doors.archive import Archive
from pipeline.storage.folder import Folder
from pipeline.storage.noting import Written
from pipeline.units import Source

Row = Mapping[str, Any]
"""A row of the ledger."""
Locate = Callable[[Source], tuple[Archive, str]]
"""The archive of a source, and what it is read by there."""


class Results(Protocol):
    """Reads results by their keys; raises as ``Archive`` does."""

    def read(self, key: str) -> bytes:
        """The whole result."""
        ...

    def open(self, key: str) -> IO[bytes]:
        """The result as a file."""
        ...

    def exists(self, key: str) -> bool:
        """Whether it is there."""
        ...


class Outlet(Protocol):
    """Writes results."""

    @property
    def staging(self) -> Path | None:
        """Where results wait for their unit, on this machine; ``None`` where they go to the store at once."""
        ...

    def stage_in(self, folder: Path) -> None:
        """Lets results wait in the folder of another process, which finishes the unit."""
        ...

    def key(self, source: Source, key: str) -> str:
        """The key of a result; ``key`` is the one that it would have as an object of its own."""
        ...

    def stored_at(self, key: str) -> str:
        """The key of the object that holds a result."""
        ...

    def companion(self, key: str) -> str | None:
        """Of the JSON document that ``finish`` writes beside a result; ``None`` where it writes none."""
        ...

    def put(self, source: Source, key: str, data: bytes | Path) -> str:
        """A result of a unit that is under way; raises what the store raises.

        What rows call it, and ``Results`` reads it by: its key, or an address outside the output.
        """
        ...

    def remove(self, source: Source, key: str) -> None:
        """Takes a result back, also one of an earlier attempt."""
        ...

    def finish(
        self, sources: Sequence[Source], rows: Sequence[Row], locate: Locate
    ) -> Mapping[str, Exception | Row]:
        """Stores what a unit still owes, before it is committed.

        By source_id what could not be stored, or the columns of a result that is there already.
        """
        ...

    def conclude(self, rows: Iterable[Row], written: Written) -> None:
        """Writes what describes all results, out of the ok rows of the ledger. Derived: can be made again.

        Notes it in ``written`` by its keys below the output: verification looks at it as at results.
        """
        ...

    def results(self) -> Results:
        """The results as they are now; look again with another one."""
        ...


def result_key(row: Row) -> str:
    """What a row calls its result, restored or degraded; empty where it has none."""
    return row.get("output_uri") or row.get("degraded_uri") or ""


def write_beside(
    sources: Sequence[Source], rows: Sequence[Row], write: Callable[[Source, Row], None]
) -> dict[str, Exception]:
    """Has ``write`` put what goes along with each result of a unit; by source_id what could not be."""
    made = {row["source_id"]: row for row in rows if row["status"] == "ok" and result_key(row)}
    faults: dict[str, Exception] = {}
    for source in sources:
        if source.source_id in made:
            try:
                write(source, made[source.source_id])
            except Exception as error:
                faults[source.source_id] = error
    return faults


class FolderOutlet:
    """Every result an object of its own."""

    staging: Path | None = None

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def stage_in(self, folder: Path) -> None:
        """Nothing waits."""

    def key(self, source: Source, key: str) -> str:
        """As it is."""
        return key

    def stored_at(self, key: str) -> str:
        """Itself."""
        return key

    def companion(self, key: str) -> str | None:
        """The tables say it all."""
        return None

    def put(self, source: Source, key: str, data: bytes | Path) -> str:
        """One PUT."""
        if isinstance(data, Path):
            self.folder.put_file(key, data)
        else:
            self.folder.put(key, data)
        return key

    def remove(self, source: Source, key: str) -> None:
        """One request."""
        self.folder.delete(key)

    def finish(self, sources: Sequence[Source], rows: Sequence[Row], locate: Locate) -> dict[str, Exception]:
        """Everything is there."""
        return {}

    def conclude(self, rows: Iterable[Row], written: Written) -> None:
        """The tables say it all."""

    def results(self) -> Results:
        """The folder."""
        return self.folder
