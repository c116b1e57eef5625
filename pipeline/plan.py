"""The plan: what the stores hold now, minus what the ledger holds, in units.

Written as two Parquet files: ``plan/sources.parquet`` lists every source that belongs to the job today,
``plan/units.parquet`` the work that is left, one row per unit. Both are replaced whole.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import JobError
from pipeline.formats import FORMATS
from pipeline.hashing import seed_of, short_hash
from pipeline.jobs import Job
from pipeline.ledger import Committed, contains
from pipeline.storage import Entry, Folder

SOURCES = "plan/sources.parquet"
UNITS = "plan/units.parquet"

UNIT_BYTES = 256 << 20
"""A unit ends early once its files come to this much."""


@dataclass(frozen=True)
class Source:
    """One object in a store, at one version."""

    dataset: str
    key: str
    size: int
    version: str
    source_id: str
    """128-bit hash of dataset, place, key and version, 32 hex digits."""


@dataclass(frozen=True)
class Unit:
    """A handful of sources that commit together: what a kill may repeat."""

    unit_id: str
    attempt: int
    """0 the first time; ``retry`` counts up."""
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class PlanSummary:
    """What planning found; safe to hand to a scheduler."""

    sources: int
    done: int
    left: int
    units: int
    removed: int
    """Committed sources that the stores no longer hold in that version: changed or deleted."""


_SOURCE = pa.struct(
    [
        ("dataset", pa.string()),
        ("key", pa.string()),
        ("size", pa.int64()),
        ("version", pa.string()),
        ("source_id", pa.string()),
    ]
)
_SOURCES_SCHEMA = pa.schema(list(_SOURCE))
_UNITS_SCHEMA = pa.schema([("unit_id", pa.string()), ("attempt", pa.int32()), ("sources", pa.list_(_SOURCE))])


def make_plan(
    job: Job,
    books: Folder,
    recipe_id: str,
    committed: Committed,
    *,
    workers: int,
    limit: int | None = None,
    retry: bool = False,
) -> PlanSummary:
    """Lists the stores, subtracts the ledger, groups the rest and writes both files.

    ``retry`` takes what failed instead of what is missing. ``limit`` takes only the first sources of
    the listing. Raises ``StorageError`` for a store that cannot be listed, ``JobError`` where the
    listing is empty or two sources would write one object.
    """
    total = _write_sources(job, books, limit)
    if total == 0:
        shown = ", ".join(f"{each.uri} (pattern {each.pattern!r})" for each in job.datasets)
        raise JobError(f"datasets: no object found in {shown}; check the address and the pattern")
    size = job.resources.unit_images or max(1, min(32, -(-total // (8 * workers))))
    grouping = _Grouping(recipe_id, committed, size, retry)
    with _Table(books, UNITS, _UNITS_SCHEMA) as table:
        for unit in grouping.units(sources(books)):
            table.write(_unit_record(unit))
    return PlanSummary(
        sources=total,
        done=total - grouping.left if not retry else len(committed.done),
        left=grouping.left,
        units=grouping.count,
        removed=len(committed.done) - grouping.seen if limit is None else 0,
    )


def sources(books: Folder) -> Iterator[Source]:
    """Every source of the last plan, in order of listing."""
    for record in _records(books, SOURCES):
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
    for record in _records(books, UNITS):
        yield unit_of(record)


def unit_of(record: dict[str, Any]) -> Unit:
    """A unit out of one row of the units' file."""
    return Unit(record["unit_id"], record["attempt"], tuple(Source(**each) for each in record["sources"]))


def source_of(dataset: str, folder: Folder, entry: Entry) -> Source:
    """A listed object with its identity."""
    # Dataset and key decide the seed, so the same object under another name is another source.
    source_id = short_hash(dataset, folder.url, entry.key, entry.version)
    return Source(dataset, entry.key, entry.size, entry.version, source_id)


def make_unit(recipe_id: str, attempt: int, members: list[Source]) -> Unit:
    """A unit, named by what it holds."""
    ids = sorted(source.source_id for source in members)
    return Unit(short_hash(recipe_id, str(attempt), *ids), attempt, tuple(members))


class _Grouping:
    """Cuts the listing into units; counts as it goes.

    Units are cut by position in the whole listing, not in what is left of it, so that a unit that
    killed its process is the same unit after a restart and its attempts add up.
    """

    def __init__(self, recipe_id: str, committed: Committed, size: int, retry: bool) -> None:
        self._recipe_id, self._committed, self._size, self._retry = recipe_id, committed, size, retry
        self.left = self.count = self.seen = 0

    def units(self, listing: Iterator[Source]) -> Iterator[Unit]:
        for block in _blocks(listing, self._size):
            members = self._wanted(block)
            for attempt in sorted({self._attempt(source) for source in members}):
                group = [source for source in members if self._attempt(source) == attempt]
                self.left += len(group)
                self.count += 1
                yield make_unit(self._recipe_id, attempt, group)

    def _wanted(self, block: list[Source]) -> list[Source]:
        ids = [source.source_id for source in block]
        done = contains(self._committed.done, ids)
        self.seen += int(done.sum())
        wanted = contains(self._committed.failed, ids) if self._retry else ~done
        return [source for source, take in zip(block, wanted, strict=True) if take]

    def _attempt(self, source: Source) -> int:
        return self._committed.attempt(source.source_id) + 1 if self._retry else 0


def _blocks(listing: Iterator[Source], size: int) -> Iterator[list[Source]]:
    block: list[Source] = []
    weight = 0
    for source in listing:
        if block and (len(block) == size or weight + source.size > UNIT_BYTES):
            yield block
            block, weight = [], 0
        block.append(source)
        weight += max(source.size, 0)
    if block:
        yield block


def _write_sources(job: Job, books: Folder, limit: int | None) -> int:
    total = 0
    collisions = _Collisions(job)
    with _Table(books, SOURCES, _SOURCES_SCHEMA) as table:
        for source in islice(_listed(job), limit):
            collisions.add(source)
            table.write(vars(source))
            total += 1
    collisions.refuse(books)
    return total


def _listed(job: Job) -> Iterator[Source]:
    for dataset in job.datasets:
        folder = Folder(dataset.uri, dataset.profile)
        for page in folder.pages(dataset.pattern):
            for entry in page:
                yield source_of(dataset.name, folder, entry)


class _Collisions:
    """The one way two sources could write one object: ``a`` becomes ``a.png``, which is there too."""

    def __init__(self, job: Job) -> None:
        from pipeline.layout import Layout  # which imports this module

        name = Layout.of(job, "").output_format
        self._extensions = FORMATS[name].extensions if name else ()
        self._stems = array("q")  # 8 bytes a source, so that ten million fit

    def add(self, source: Source) -> None:
        if self._extensions and source.key.endswith(self._extensions[0]):
            self._stems.append(seed_of(source.dataset, source.key.removesuffix(self._extensions[0])))

    def refuse(self, books: Folder) -> None:
        stems = np.unique(np.array(self._stems, np.int64))
        if not len(stems):
            return
        for source in sources(books):
            if source.key.lower().endswith(self._extensions):
                continue
            stem = seed_of(source.dataset, source.key)
            if stems[min(int(np.searchsorted(stems, stem)), len(stems) - 1)] == stem:
                raise JobError(
                    f"datasets: {source.dataset!r} holds {source.key!r} and "
                    f"{source.key + self._extensions[0]!r}, which would become one output; "
                    "give them different datasets by pattern"
                )


class _Table:
    """A Parquet file written in batches to a temporary file, then put whole."""

    BATCH = 4096

    def __init__(self, books: Folder, key: str, columns: pa.Schema) -> None:
        self._books, self._key, self._schema = books, key, columns
        self._records: list[dict[str, Any]] = []

    def __enter__(self) -> _Table:
        self._folder = tempfile.TemporaryDirectory(prefix="restora-plan-")
        self._path = Path(self._folder.name) / "table.parquet"
        self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        return self

    def write(self, record: dict[str, Any]) -> None:
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


def _records(books: Folder, key: str) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file of the books, a batch in memory at a time."""
    with books.open(key) as file:
        for batch in pq.ParquetFile(file).iter_batches(4096):
            yield from batch.to_pylist()


def _unit_record(unit: Unit) -> dict[str, Any]:
    return {
        "unit_id": unit.unit_id,
        "attempt": unit.attempt,
        "sources": [vars(source) for source in unit.sources],
    }
