"""The commit record: one Parquet file per unit, written last. What has a row here is done.

Objects first, then one PUT of the unit's file at ``ledger/<recipe>/<2 hex>/<unit>.parquet``. There is
no second bookkeeping and nothing is renamed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import StorageError
from pipeline.jobs.job import Job
from pipeline.ledger.schema import OK, Row, schema_of
from pipeline.storage.folder import Folder


@dataclass(frozen=True)
class Committed:
    """What the ledger of one recipe holds, 16 bytes an image and not more."""

    done: NDArray[np.bytes_] = field(default_factory=lambda: np.empty(0, "S32"))
    """source_id of every committed source, sorted, each once."""
    failed: NDArray[np.bytes_] = field(default_factory=lambda: np.empty(0, "S32"))
    """Those of them whose newest attempt has a quarantined row, sorted."""
    attempts: dict[str, int] = field(default_factory=dict)
    """Newest attempt of the sources that were tried again; all others are at attempt 0."""

    def attempt(self, source_id: str) -> int:
        """The newest committed attempt of a source."""
        return self.attempts.get(source_id, 0)

    def newest(self, table: pa.Table) -> NDArray[np.bool_]:
        """For each row of a ledger file whether its source was not tried again since."""
        rows = zip(table["source_id"].to_pylist(), table["attempt"].to_pylist(), strict=True)
        return np.array([attempt == self.attempt(source) for source, attempt in rows], bool)


class Ledger:
    """The ledger of one recipe in one run folder."""

    def __init__(self, folder: Folder, prefix: str, schema: pa.Schema) -> None:
        self.folder, self.prefix, self.schema = folder, prefix, schema

    @classmethod
    def of(cls, job: Job, folder: Folder, recipe_id: str) -> Ledger:
        """The ledger with the columns that a job asks for."""
        return cls(folder, prefix_of(recipe_id), schema_of(job))

    def key(self, unit_id: str) -> str:
        """Where a unit's file is stored."""
        return f"{self.prefix}/{unit_id[:2]}/{unit_id}.parquet"

    def keys(self) -> list[str]:
        """The files of every committed unit, sorted."""
        return self.folder.keys(self.prefix, ".parquet")

    def commit(self, unit_id: str, rows: Sequence[Row]) -> None:
        """The one PUT that makes a unit done. Its objects must be in the store already."""
        buffer = io.BytesIO()
        table = pa.Table.from_pylist(list(rows), schema=self.schema)
        pq.write_table(table, buffer, compression="zstd")
        self.folder.put(self.key(unit_id), buffer.getvalue())

    def read(self, key: str, columns: list[str] | None = None) -> pa.Table:
        """The rows of one unit's file. ``StorageError`` where it is damaged."""
        try:
            # Not read_table, which would import pyarrow.dataset and, where it is installed, pandas.
            return pq.ParquetFile(io.BytesIO(self.folder.read(key))).read(columns)
        except pa.ArrowInvalid as error:
            raise StorageError(
                f"{self.folder.uri(key)}: not a whole Parquet file; delete it and run the job again: "
                "its images will be done once more"
            ) from error

    def rows(self, unit_id: str) -> list[Row] | None:
        """The rows of a unit that is committed, else ``None``."""
        try:
            found: list[Row] = self.read(self.key(unit_id)).to_pylist()
        except FileNotFoundError:
            return None
        return found

    def tables(self, columns: list[str] | None = None, threads: int = 8) -> Iterator[pa.Table]:
        """Every unit's rows, in order of unit, a bounded number of files in memory."""
        keys = self.keys()
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(keys), 256):
                yield from pool.map(lambda key: self.read(key, columns), keys[start : start + 256])

    def committed(self) -> Committed:
        """What is done, over the whole ledger."""
        done: list[NDArray[np.bytes_]] = []
        newest: dict[str, int] = {}
        failures: list[tuple[str, int]] = []
        for table in self.tables(["source_id", "status", "attempt"]):
            ids = table["source_id"].to_pylist()
            done.append(np.unique(np.array(ids, "S32")))
            for source_id, status, attempt in zip(
                ids, table["status"].to_pylist(), table["attempt"].to_pylist(), strict=True
            ):
                if attempt > newest.get(source_id, 0):
                    newest[source_id] = attempt
                if status != OK:
                    failures.append((source_id, attempt))
        failed = [source for source, attempt in failures if attempt == newest.get(source, 0)]
        return Committed(
            done=np.unique(np.concatenate(done)) if done else np.empty(0, "S32"),
            failed=np.unique(np.array(failed, "S32")),
            attempts=newest,
        )


def prefix_of(recipe_id: str) -> str:
    """Where the ledger of a recipe is stored, relative to the run folder."""
    return f"ledger/{recipe_id[:12]}"


def contains(sorted_ids: NDArray[np.bytes_], ids: Sequence[str]) -> NDArray[np.bool_]:
    """For each id whether it is among the sorted ones."""
    wanted = np.array(ids, "S32")
    if not len(sorted_ids):
        return np.zeros(len(wanted), bool)
    places = np.minimum(np.searchsorted(sorted_ids, wanted), len(sorted_ids) - 1)
    return np.asarray(sorted_ids[places] == wanted)
