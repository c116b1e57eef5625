"""Files of the plan: Parquet of any length, written and read a batch at a time."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import JobError
from pipeline.ledger.identities import IdArray, ids_of, sorted_ids
from pipeline.storage.folder import Folder
from pipeline.storage.scratch import scratch
from pipeline.units import Source, Unit, unit_of

SOURCES = "plan/sources.parquet"
"""Every source that belongs to the job today."""
UNITS = "plan/units.parquet"
"""The work that is left, one row per unit."""
TOKEN_KEY = b"restora_plan"
"""In the metadata of the sources: which plan they are of."""

_SOURCE = pa.struct(
    [
        ("dataset", pa.string()),
        ("key", pa.string()),
        ("size", pa.int64()),
        ("version", pa.string()),
        ("source_id", pa.string()),
        ("group", pa.string()),
        ("sealed", pa.string()),
        ("attached", pa.string()),
        ("at", pa.string()),
        ("bundle", pa.string()),
    ]
)

SOURCES_SCHEMA = pa.schema(list(_SOURCE))

_STRIP = pa.struct([("cuts", pa.list_(pa.int64())), ("index", pa.int32())])

UNITS_SCHEMA = pa.schema(
    [("unit_id", pa.string()), ("attempt", pa.int32()), ("sources", pa.list_(_SOURCE)), ("part", _STRIP)]
)


_UNIQUE = {"key", "size", "version", "source_id", "at", "unit_id"}
"""Columns of which no value comes twice, or hardly: no dictionary of them is begun."""


def _repeating(schema: pa.Schema) -> list[str]:
    """Paths of the columns that have a dictionary."""
    nested = [f"sources.list.element.{each.name}" for each in _SOURCE if each.name not in _UNIQUE]
    return [each for each in schema.names if each not in _UNIQUE] if "sources" not in schema.names else nested


class PlanFile:
    """A Parquet file written in batches to a temporary file, then put whole; or to a file of this machine."""

    BATCH = 4096

    def __init__(self, place: tuple[Folder, str] | Path, columns: pa.Schema) -> None:
        self._place, self._schema = place, columns
        self._records: list[dict[str, Any]] = []

    def __enter__(self) -> PlanFile:
        self._scratch = ExitStack()
        if isinstance(self._place, Path):
            self._path = self._place
        else:
            self._path = self._scratch.enter_context(scratch("plan")) / "table.parquet"
        columns = _repeating(self._schema)  # of the others statistics tell nothing
        self._writer = pq.ParquetWriter(
            self._path, self._schema, compression="zstd", use_dictionary=columns, write_statistics=columns
        )
        return self

    def write(self, record: dict[str, Any]) -> None:
        """One more row."""
        self._records.append(record)
        if len(self._records) == self.BATCH:
            self._flush()

    def write_rows(self, rows: pa.Table) -> None:
        """Many rows at once, after those before."""
        self._flush()
        self._writer.write_table(rows, row_group_size=len(rows))

    def _flush(self) -> None:
        if self._records:
            self._writer.write_table(pa.Table.from_pylist(self._records, schema=self._schema))
            self._records = []

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._scratch:
            if kind is None:
                self._flush()
            self._writer.close()
            if kind is None and not isinstance(self._place, Path):
                folder, key = self._place
                folder.put_file(key, self._path)


def read_batches(
    folder: Folder, key: str = SOURCES, columns: list[str] | None = None, rows: int = 0
) -> Iterator[pa.RecordBatch]:
    """Rows of a Parquet file of the run folder, a batch of so many in memory at a time."""
    with folder.open(key) as file:
        yield from pq.ParquetFile(file).iter_batches(rows or PlanFile.BATCH, columns=columns)


def read_pages(folder: Folder) -> Iterator[pa.RecordBatch]:
    """The sources of the last plan, a page of their listing at a time.

    Most columns are empty in most pages; those are not read, which takes half of the time.
    """
    with folder.open(SOURCES) as file:
        parquet = pq.ParquetFile(file)
        names = parquet.schema_arrow.names
        for number in range(parquet.num_row_groups):
            group = parquet.metadata.row_group(number)
            filled = [each for place, each in enumerate(names) if not _is_empty(group.column(place))]
            page = parquet.read_row_group(number, filled).combine_chunks()
            empty = pa.repeat(pa.scalar(""), len(page))
            columns = {each: page[each] if each in filled else empty for each in names}
            yield from pa.table(columns).to_batches()


def _is_empty(column: pq.ColumnChunkMetaData) -> bool:
    """By the statistics of the file: texts that are all empty."""
    its = column.statistics
    if its is None or not its.has_min_max or not its.has_null_count:
        return False
    return bool(its.min == its.max == "" and its.null_count == 0)


def read_spans(
    folder: Folder, columns: list[str] | None, rows: int, left_out: Container[int] = ()
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The sources of the last plan, about so many rows at a time, each with the number of its span of the
    file; nothing is read of those that are left out."""
    with folder.open(SOURCES) as file:
        parquet = pq.ParquetFile(file)
        for number, span in enumerate(_spans(parquet.metadata, rows)):
            if number not in left_out:
                for batch in parquet.iter_batches(rows, row_groups=span, columns=columns):
                    yield number, batch


def _spans(metadata: pq.FileMetaData, rows: int) -> Iterator[list[int]]:
    """Neighbouring row groups."""
    span, count = [], 0
    for group in range(metadata.num_row_groups):
        span.append(group)
        count += metadata.row_group(group).num_rows
        if count >= rows:
            yield span
            span, count = [], 0
    if span:
        yield span


def read_records(folder: Folder, key: str) -> Iterator[dict[str, Any]]:
    """The same, a row at a time."""
    for batch in read_batches(folder, key):
        yield from batch.to_pylist()


def table_of(columns: dict[str, pa.Array]) -> pa.Table:
    """Columns by the names of a source's fields as rows of the plan's file."""
    return pa.table({name: columns[name] for name in SOURCES_SCHEMA.names}, SOURCES_SCHEMA)


def sources_of(batch: pa.RecordBatch | pa.Table) -> list[Source]:
    """The sources of a batch of the plan's file."""
    return [Source(**record) for record in batch.to_pylist()]


def read_sources(folder: Folder) -> Iterator[Source]:
    """Every source of the last plan, in order of listing."""
    for batch in read_batches(folder):
        yield from sources_of(batch)


def read_sources_named(folder: Folder, source_ids: set[str]) -> list[Source]:
    """Those of the last plan's sources that have one of these identities."""
    names = pa.array(sorted(source_ids), pa.string())
    batches = read_batches(folder)
    return [s for batch in batches for s in sources_of(batch.filter(pc.is_in(batch["source_id"], names)))]


def is_planned(folder: Folder, key: str = SOURCES) -> bool:
    """Whether there is a whole list of sources, or of units; a damaged one is made again by the next plan."""
    return _is_whole(folder, key)


def _is_whole(folder: Folder, key: str) -> bool:
    if not folder.exists(key):
        return False
    with folder.open(key) as file:
        try:
            pq.ParquetFile(file)
        except (pa.ArrowInvalid, OSError):
            return False
    return True


def read_source_ids(folder: Folder) -> IdArray:
    """Identities of every source of the last plan, sorted, 16 bytes each; ``JobError`` without one."""
    if not folder.exists(SOURCES):
        raise JobError(f"{folder.url}: nothing was planned here yet; run the job first")
    if not is_planned(folder):
        raise JobError(f"{folder.uri(SOURCES)}: is damaged; run the same command again, which makes it")
    with folder.open(SOURCES) as file:
        batches = pq.ParquetFile(file).iter_batches(1 << 16, columns=["source_id"])
        return sorted_ids(ids_of(batch["source_id"]) for batch in batches)


def read_units(folder: Folder) -> Iterator[Unit]:
    """The units of the last plan."""
    for record in read_records(folder, UNITS):
        yield unit_of(record)


def read_units_named(folder: Folder, unit_ids: set[str]) -> list[Unit]:
    """Those of the units of the last plan that have one of these names."""
    if not unit_ids or not _is_whole(folder, UNITS):
        return []
    names = pa.array(sorted(unit_ids))
    batches = (batch.filter(pc.is_in(batch["unit_id"], names)) for batch in read_batches(folder, UNITS))
    return [unit_of(record) for batch in batches for record in batch.to_pylist()]


class PlannedUnits:
    """The units of the last plan by their place in it, a row group in memory at a time."""

    def __init__(self, folder: Folder) -> None:
        self._file = pq.ParquetFile(folder.open(UNITS))
        self._first, self._rows = 0, UNITS_SCHEMA.empty_table()

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def images(self) -> int:
        """Of all units together; no unit is read."""
        metadata = self._file.metadata
        paths = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
        column = paths.index("sources.list.element.source_id")
        return sum(
            metadata.row_group(group).column(column).num_values for group in range(metadata.num_row_groups)
        )

    def __getitem__(self, place: int) -> Unit:
        if not self._first <= place < self._first + len(self._rows):
            self._read_group_of(place)
        (record,) = self._rows.slice(place - self._first, 1).to_pylist()
        return unit_of(record)

    def _read_group_of(self, place: int) -> None:
        first = 0
        for group in range(self._file.metadata.num_row_groups):
            length = self._file.metadata.row_group(group).num_rows
            if place < first + length:
                self._first, self._rows = first, self._file.read_row_group(group)
                return
            first += length
        raise IndexError(place)


def batch_of(units: list[Unit]) -> pa.RecordBatch:
    """Units as rows of the units' file."""
    return pa.RecordBatch.from_pylist(list(map(record_of, units)), UNITS_SCHEMA)


def record_of(unit: Unit) -> dict[str, Any]:
    """A unit as a row of the units' file."""
    return {
        "unit_id": unit.unit_id,
        "attempt": unit.attempt,
        "sources": [vars(source) for source in unit.sources],
        "part": unit.strip and vars(unit.strip),
    }
