"""What a finished run left, so that running it again can see that nothing is left to do.

Written after the report. It vouches for one state of job, sources and ledger; any other, and tables and
report are made again. It never decides what is done: that is the ledger's affair alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.hashing import sha256_hex
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.known import digest_of_sources
from pipeline.results.tables import SUMMARY_TABLE, TableSummary, has_metrics
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
    """Key of the report in the run."""

    def write(self, run: RunFolder) -> None:
        """Replaces the record of the run before."""
        run.folder.put(FINISHED, json.dumps(asdict(self), indent=1).encode())

    @staticmethod
    def forget(run: RunFolder) -> None:
        """So that tables and report are made again."""
        run.folder.delete(FINISHED)

    @classmethod
    def read(cls, run: RunFolder) -> Finished | None:
        """The record, or ``None`` where it is of another state or its files are gone."""
        try:
            found = cls._of(json.loads(run.folder.read(FINISHED)))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            return None  # damaged, or of another version: tables and report are made again
        if found.state != state_of(run) or not has_metrics(run.folder):
            return None
        return found if all(map(run.folder.exists, (SUMMARY_TABLE, found.report))) else None

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> Finished:
        problems = tuple(fields["verification"].pop("problems"))
        return cls(
            state=fields["state"],
            table=TableSummary(**fields["table"]),
            verification=Verification(problems=problems, **fields["verification"]),
            report=fields["report"],
        )


def state_of(run: RunFolder) -> str:
    """SHA-256 over the job, the identities of the planned sources and the names of the ledger's files."""
    parts = (
        json.dumps(run.job.shown(), sort_keys=True),
        digest_of_sources(run.folder),
        *run.ledger.keys(),
    )
    return sha256_hex("\n".join(parts).encode())
