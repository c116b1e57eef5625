"""Files of the plan: Parquet of any length, written and read a batch at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import JobError
from pipeline.storage.folder import Folder
from pipeline.units import Source, Unit, unit_of


class PlanFile:
    """A Parquet file written in batches to a temporary file, then put whole."""

    BATCH = 4096

    def __init__(self, books: Folder, key: str, columns: pa.Schema) -> None:
        self._books, self._key, self._schema = books, key, columns
        self._records: list[dict[str, Any]] = []

    def __enter__(self) -> PlanFile:
        self._folder = tempfile.TemporaryDirectory(prefix="restora-plan-")
        self._path = Path(self._folder.name) / "table.parquet"
        self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        return self

    def write(self, record: dict[str, Any]) -> None:
        """One more row."""
        self._records.append(record)
        if len(self._records) == self.BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._records:
            self._writer.write_table(pa.Table.from_pylist(self._records, schema=self._schema))
            self._records = []

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._folder:
            if kind is None:
                self._flush()
            self._writer.close()
            if kind is None:
                self._books.put_file(self._key, self._path)


def records(books: Folder, key: str) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file of the books, a batch in memory at a time."""
    with books.open(key) as file:
        for batch in pq.ParquetFile(file).iter_batches(4096):
            yield from batch.to_pylist()


SOURCES = "plan/sources.parquet"

UNITS = "plan/units.parquet"

_SOURCE = pa.struct(
    [
        ("dataset", pa.string()),
        ("key", pa.string()),
        ("size", pa.int64()),
        ("version", pa.string()),
        ("source_id", pa.string()),
        ("group", pa.string()),
        ("sealed", pa.string()),
    ]
)

_SOURCES_SCHEMA = pa.schema(list(_SOURCE))

_PART = pa.struct([("cuts", pa.list_(pa.int64())), ("index", pa.int32())])

_UNITS_SCHEMA = pa.schema(
    [("unit_id", pa.string()), ("attempt", pa.int32()), ("sources", pa.list_(_SOURCE)), ("part", _PART)]
)


def sources(books: Folder) -> Iterator[Source]:
    """Every source of the last plan, in order of listing."""
    for record in records(books, SOURCES):
        yield Source(**record)


def source_ids(books: Folder) -> NDArray[np.bytes_]:
    """Identities of every source of the last plan, sorted; 32 bytes each."""
    if not books.exists(SOURCES):
        raise JobError(f"{books.url}: nothing was planned here yet; run the job first")
    with books.open(SOURCES) as file:
        column = pq.ParquetFile(file).read(["source_id"])["source_id"]
    return np.unique(
        np.concatenate([np.array(c.to_pylist(), "S32") for c in column.chunks] or [np.empty(0, "S32")])
    )


def units(books: Folder) -> Iterator[Unit]:
    """The units of the last plan."""
    for record in records(books, UNITS):
        yield unit_of(record)


def _unit_record(unit: Unit) -> dict[str, Any]:
    return {
        "unit_id": unit.unit_id,
        "attempt": unit.attempt,
        "sources": [vars(source) for source in unit.sources],
        "part": unit.part and vars(unit.part),
    }
