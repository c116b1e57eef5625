"""Files of the plan: Parquet of any length, written and read a batch at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.storage import Folder


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
