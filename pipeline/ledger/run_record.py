"""When and on what the last run of an output ran: for the report, never for deciding what is done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pipeline.storage.folder import Folder

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
