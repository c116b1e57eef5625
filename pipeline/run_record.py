"""When and on what the last run of an output ran: for the report, never for deciding what is done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pipeline.storage import Folder

RUN = "run.json"


@dataclass(frozen=True)
class RunRecord:
    """The last run that did any work."""

    engine: str
    started_at: str
    finished_at: str
    seconds: float
    images: int

    def write(self, books: Folder) -> None:
        """Replaces the record of the run before."""
        books.put(RUN, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, books: Folder) -> RunRecord | None:
        """The record, or ``None`` where nothing ran to its end yet."""
        return cls(**json.loads(books.read(RUN))) if books.exists(RUN) else None
