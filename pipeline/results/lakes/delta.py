"""A table of Delta Lake, by delta-rs. A replacement is one commit of its log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipeline.results.lakes.base import PART, Lake, LakeTable, Rows, quoted


class DeltaFolder:
    """The table at an address; credentials of a store come from the environment."""

    def __init__(self, place: str) -> None:
        self._place = place

    def _table(self) -> Any | None:
        from deltalake import DeltaTable

        if not DeltaTable.is_deltatable(self._place):
            return None
        return DeltaTable(self._place)

    def columns(self) -> list[str] | None:
        """By its schema."""
        table = self._table()
        return None if table is None else [field.name for field in table.schema().fields]

    def parts(self) -> set[str]:
        """Its partitions."""
        table = self._table()
        return set() if table is None else {each[PART] for each in table.partitions()}

    def replace(self, gone: Sequence[str], new: Sequence[str], rows: Rows, schema: pa.Schema) -> None:
        """The rows of all these parts are overwritten with the new ones."""
        from deltalake import write_deltalake

        reader = pa.RecordBatchReader.from_batches(schema, _batches(rows))
        if self._table() is None:
            write_deltalake(self._place, reader, partition_by=[PART], mode="append")
        else:
            predicate = quoted([*gone, *new])
            write_deltalake(self._place, reader, mode="overwrite", predicate=predicate)


def _batches(rows: Rows) -> Iterator[pa.RecordBatch]:
    for _, table in rows:
        yield from table.to_batches(max_chunksize=50_000)


def _open(place: str, catalogue: str | None) -> LakeTable:
    return DeltaFolder(place)


DELTA = Lake("delta", _open, extra="delta", module="deltalake")
