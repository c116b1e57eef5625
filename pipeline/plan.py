"""The plan: what the stores hold now, minus what the ledger holds, in units.

Written as two Parquet files: ``plan/sources.parquet`` lists every source that belongs to the job today,
``plan/units.parquet`` the work that is left, one row per unit. Both are replaced whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline import privacy, series
from pipeline.collisions import Collisions
from pipeline.errors import JobError
from pipeline.hashing import short_hash
from pipeline.jobs import Job
from pipeline.keys import BOOKS
from pipeline.ledger import Committed, contains
from pipeline.plan_file import PlanFile, records
from pipeline.privacy_key import PrivacyKey, load_key
from pipeline.scenes.part import Part
from pipeline.storage import Folder
from pipeline.stores.base import Entry

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
    group: str = ""
    """Sources of one group stand or fall together, in one unit; empty for those that are alone."""
    sealed: str = ""
    """The key of the object in its store, where ``key`` is an opaque id: see ``pipeline.privacy``."""


Family = list[Source]
"""Sources that stay in one unit: the images of a group, or one image alone."""


@dataclass(frozen=True)
class Unit:
    """A handful of sources that commit together: what a kill may repeat."""

    unit_id: str
    attempt: int
    """0 the first time; ``retry`` counts up."""
    sources: tuple[Source, ...]
    part: Part | None = None
    """What of its one source, where that is a scene: a strip, or the joining of its strips."""


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
        ("group", pa.string()),
        ("sealed", pa.string()),
    ]
)
_SOURCES_SCHEMA = pa.schema(list(_SOURCE))
_PART = pa.struct([("cuts", pa.list_(pa.int64())), ("index", pa.int32())])
_UNITS_SCHEMA = pa.schema(
    [("unit_id", pa.string()), ("attempt", pa.int32()), ("sources", pa.list_(_SOURCE)), ("part", _PART)]
)


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
        shown = ", ".join(privacy.described(each) for each in job.datasets)
        raise JobError(f"datasets: no object found in {shown}; check the address and the pattern")
    fixed = job.resources.unit_images
    sizes = repeat(fixed) if fixed else unit_sizes(total, workers)
    grouping = _Grouping(recipe_id, committed, sizes, retry)
    from pipeline.scenes.planning import ScenePlan  # which imports this module

    scenes, count = ScenePlan(job, books, recipe_id), 0
    with PlanFile(books, UNITS, _UNITS_SCHEMA) as table:
        for count, unit in enumerate(scenes.split(grouping.units(_families(books))), 1):  # noqa: B007
            table.write(_unit_record(unit))
    scenes.clean(committed)
    return PlanSummary(
        sources=total,
        done=total - grouping.left if not retry else len(committed.done),
        left=grouping.left,
        units=count,
        removed=len(committed.done) - grouping.seen if limit is None else 0,
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


def unit_of(record: dict[str, Any]) -> Unit:
    """A unit out of one row of the units' file."""
    members = tuple(Source(**each) for each in record["sources"])
    return Unit(record["unit_id"], record["attempt"], members, Part.of(record.get("part")))


def source_of(dataset: str, folder: Folder, entry: Entry, hidden: PrivacyKey | None = None) -> Source:
    """A listed object with its identity; with a key, one that tells neither its name nor its time."""
    # Dataset and key decide the seed, so the same object under another name is another source.
    parts = (dataset, folder.url, entry.key, entry.version)
    if hidden is None:
        return Source(dataset, entry.key, entry.size, entry.version, short_hash(*parts))
    name = hidden.id_of(dataset, entry.key) + privacy.ending_of(entry.key)
    return Source(dataset, name, entry.size, "", hidden.id_of(*parts), sealed=hidden.seal(entry.key))


def make_unit(recipe_id: str, attempt: int, members: list[Source]) -> Unit:
    """A unit, named by what it holds."""
    ids = sorted(source.source_id for source in members)
    return Unit(short_hash(recipe_id, str(attempt), *ids), attempt, tuple(members))


def unit_sizes(total: int, workers: int) -> Iterator[int]:
    """How many images each unit takes, of ``total`` for so many workers; goes on without end.

    Small units first, so that the first commit comes soon, and small ones last, so that no worker waits
    long for the others; up to 32 between, for the books of a unit cost as much as an image.
    """
    most = max(1, min(32, -(-total // (8 * workers))))
    rising = [size for size in (2, 4, 8, 16) if size < most for _ in range(workers)]
    between, rest = divmod(max(0, total - 2 * sum(rising)), most)
    return chain(rising, repeat(most, between), [rest] if rest else [], reversed(rising), repeat(most))


class _Grouping:
    """Cuts the listing into units; counts as it goes.

    Units are cut by position in the whole listing, not in what is left of it, so that a unit that
    killed its process is the same unit after a restart and its attempts add up.
    """

    def __init__(self, recipe_id: str, committed: Committed, sizes: Iterator[int], retry: bool) -> None:
        self._recipe_id, self._committed, self._sizes, self._retry = recipe_id, committed, sizes, retry
        self.left = self.seen = 0

    def units(self, families: Iterator[Family]) -> Iterator[Unit]:
        for block in _blocks(families, self._sizes):
            members = [(source, attempt) for family in block for source, attempt in self._wanted(family)]
            for attempt in sorted({attempt for _, attempt in members}):
                chosen = [source for source, its in members if its == attempt]
                self.left += len(chosen)
                yield make_unit(self._recipe_id, attempt, chosen)

    def _wanted(self, family: Family) -> list[tuple[Source, int]]:
        """Those of a family that are to be done, with their attempt: all of them, where one is."""
        ids = [source.source_id for source in family]
        done = contains(self._committed.done, ids)
        self.seen += int(done.sum())
        wanted = contains(self._committed.failed, ids) if self._retry else ~done
        if not wanted.any():
            return []
        # What is done goes again where a new or repaired image has come to its group.
        before = [self._committed.attempt(each) for each, is_done in zip(ids, done, strict=True) if is_done]
        return [(source, max(before) + 1 if before else 0) for source in family]


def _blocks(families: Iterator[Family], sizes: Iterator[int]) -> Iterator[list[Family]]:
    block: list[Family] = []
    count = weight = 0
    size = next(sizes)
    for family in families:
        heaviness = sum(max(source.size, 0) for source in family)
        if block and (count + len(family) > size or weight + heaviness > UNIT_BYTES):
            yield block
            block, count, weight, size = [], 0, 0, next(sizes)
        block.append(family)
        count, weight = count + len(family), weight + heaviness
    if block:
        yield block


def _families(books: Folder) -> Iterator[Family]:
    """What stands or falls alone, then groups."""
    for source in sources(books):
        if not source.group:
            yield [source]
    yield from series.families(books, SOURCES, lambda record: Source(**record))


def _write_sources(job: Job, books: Folder, limit: int | None) -> int:
    total = 0
    collisions = Collisions(job)
    with PlanFile(books, SOURCES, _SOURCES_SCHEMA) as table:
        for source in islice(_listed(job, books), limit):
            collisions.add(source)
            table.write(vars(source))
            total += 1
    collisions.refuse(sources(books))
    return total


def _listed(job: Job, books: Folder) -> Iterator[Source]:
    planned = series.Planned(books, SOURCES)
    for index, dataset in enumerate(job.datasets):
        hidden = load_key() if dataset.private else None
        for folder, page in privacy.pages(dataset, f"datasets[{index}]"):
            # The books of an earlier run are no images: one run's output is another's input.
            images = [entry for entry in page if not entry.key.startswith(f"{BOOKS}/")]
            listed = [(entry.key, source_of(dataset.name, folder, entry, hidden)) for entry in images]
            yield from planned.grouped(dataset, folder, hidden, listed)


def _unit_record(unit: Unit) -> dict[str, Any]:
    return {
        "unit_id": unit.unit_id,
        "attempt": unit.attempt,
        "sources": [vars(source) for source in unit.sources],
        "part": unit.part and vars(unit.part),
    }
