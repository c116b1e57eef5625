"""When and on what the last run of an output ran: for the report, never for deciding what is done.

Imports for types alone keep tables out of the start-up of every command.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pipeline.storage.folder import Folder

if TYPE_CHECKING:  # what starts with every command has no tables
    from pipeline.ledger.ledger import Ledger

RUN = "run.json"
BEGUN = "run_begun"
"""When the work began that no run has finished yet; a killed run leaves it behind."""


@dataclass(frozen=True)
class RunRecord:
    """The last run that did any work."""

    engine: str
    started_at: str
    """Of the first of the runs that did this work: a killed one and those that went on."""
    finished_at: str
    seconds: float
    images: int

    def write(self, folder: Folder) -> None:
        """Replaces the record of the run before: the work is finished."""
        folder.put(RUN, json.dumps(asdict(self), indent=1).encode())
        folder.delete(BEGUN)

    @classmethod
    def complete(cls, folder: Folder, ledger: Ledger, engine: str) -> None:
        """The record of a run that was killed when all its work was committed; nothing where none was.

        Its end is that of its last row, and its images are those of the rows since it began.
        """
        if not folder.exists(BEGUN):
            return
        started_at = folder.read(BEGUN).decode()
        started, images = datetime.fromisoformat(started_at), set[str]()
        finished = started
        for table in ledger.tables(["source_id", "finished_at"]):
            for row in table.to_pylist():
                if row["finished_at"] >= started:
                    images.add(row["source_id"])
                    finished = max(finished, row["finished_at"])
        if not images:
            folder.delete(BEGUN)
            return
        seconds = (finished - started).total_seconds()
        cls(engine, started_at, finished.isoformat(timespec="seconds"), seconds, len(images)).write(folder)

    @staticmethod
    def begin(folder: Folder, now: str) -> str:
        """When the work began that this run goes on with: ``now``, unless a killed run left it unfinished."""
        if folder.exists(BEGUN):
            return folder.read(BEGUN).decode()
        folder.put(BEGUN, now.encode())
        return now

    @classmethod
    def read(cls, folder: Folder) -> RunRecord | None:
        """The record, or ``None`` where nothing ran to its end yet, or it is damaged."""
        try:
            return cls(**json.loads(folder.read(RUN))) if folder.exists(RUN) else None
        except (ValueError, TypeError):
            return None
