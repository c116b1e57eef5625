"""The plan: what the stores hold now, minus what the ledger holds, in units.

Written as two Parquet files: ``plan/sources.parquet`` lists every source that belongs to the job today,
``plan/units.parquet`` the work that is left, one row per unit. Both are replaced whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat

from pipeline.errors import JobError
from pipeline.jobs.job import Job
from pipeline.ledger.ledger import Committed
from pipeline.planning import series
from pipeline.planning.collisions import Collisions
from pipeline.planning.grouping import _Grouping, unit_sizes
from pipeline.planning.plan_files import (
    _SOURCES_SCHEMA,
    _UNITS_SCHEMA,
    SOURCES,
    UNITS,
    PlanFile,
    _unit_record,
    sources,
)
from pipeline.privacy import datasets as privacy
from pipeline.privacy.key import load_key
from pipeline.privacy.medical import pages
from pipeline.privacy.naming import source_of
from pipeline.storage.folder import Folder
from pipeline.storage.keys import BOOKS
from pipeline.units import Family, Source


@dataclass(frozen=True)
class PlanSummary:
    """What planning found; safe to hand to a scheduler."""

    sources: int
    done: int
    left: int
    units: int
    removed: int
    """Committed sources that the stores no longer hold in that version: changed or deleted."""


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
    from pipeline.scenes.cutting import ScenePlan  # which imports this module

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
        for folder, page in pages(dataset, f"datasets[{index}]"):
            # The books of an earlier run are no images: one run's output is another's input.
            images = [entry for entry in page if not entry.key.startswith(f"{BOOKS}/")]
            listed = [(entry.key, source_of(dataset.name, folder, entry, hidden)) for entry in images]
            yield from planned.grouped(dataset, folder, hidden, listed)
