"""What a finished run left, so that running it again can see that nothing is left to do.

Written after the report. It vouches for one state of job, sources and ledger; any other, and tables and
report are made again. It never decides what is done: that is the ledger's affair alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pipeline.hashing import sha256_hex
from pipeline.ledger.run_folder import Books
from pipeline.planning.plan_files import source_ids
from pipeline.results.tables import METRIC_TABLE, SUMMARY_TABLE, TableSummary
from pipeline.results.verify import Verification

FINISHED = "finished.json"


@dataclass(frozen=True)
class Finished:
    """The outcome of a run whose tables and report are up to date."""

    state: str
    """Digest of the job, the sources and the ledger that tables and report were made from."""
    table: TableSummary
    verification: Verification
    report: str
    """Key of the report in the books."""

    def write(self, books: Books) -> None:
        """Replaces the record of the run before."""
        books.folder.put(FINISHED, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, books: Books) -> Finished | None:
        """The record, or ``None`` where it is of another state or its files are gone."""
        if not books.folder.exists(FINISHED):
            return None
        fields = json.loads(books.folder.read(FINISHED))
        files = (METRIC_TABLE, SUMMARY_TABLE, fields["report"])
        if fields["state"] != state_of(books) or not all(map(books.folder.exists, files)):
            return None
        problems = tuple(fields["verification"].pop("problems"))
        return cls(
            state=fields["state"],
            table=TableSummary(**fields["table"]),
            verification=Verification(problems=problems, **fields["verification"]),
            report=fields["report"],
        )


def state_of(books: Books) -> str:
    """SHA-256 over the job, the identities of the planned sources and the names of the committed units."""
    units = books.folder.keys(books.ledger.prefix, ".parquet")
    parts = (books.job.model_dump_json(), sha256_hex(source_ids(books.folder).tobytes()), *units)
    return sha256_hex("\n".join(parts).encode())
