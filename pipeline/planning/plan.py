"""The plan: what the stores hold now, minus what the ledger holds, in units.

Written as two Parquet files: ``plan/sources.parquet`` lists every source that belongs to the job today,
``plan/units.parquet`` the work that is left, one row per unit. Both are replaced whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat

from pipeline.errors import JobError
from pipeline.formats.extras import require_extra
from pipeline.jobs.job import Dataset
from pipeline.ledger.attempts import Attempts
from pipeline.ledger.committed import IdArray, no_ids
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.collisions import Collisions
from pipeline.planning.conditions import with_conditions
from pipeline.planning.grouping import Attempted, Left, cut, unit_sizes, wanted_of
from pipeline.planning.no_images import is_no_image
from pipeline.planning.originals import Originals
from pipeline.planning.overwriting import PlannedBefore, refuse_overwriting
from pipeline.planning.pairing import paired
from pipeline.planning.plan_files import (
    SOURCES,
    SOURCES_SCHEMA,
    UNITS,
    UNITS_SCHEMA,
    PlanFile,
    columns_of,
    read_batches,
    read_units_named,
    record_of,
)
from pipeline.planning.series import SeriesIndex, read_groups
from pipeline.planning.tidying import clear_litter
from pipeline.privacy.datasets import describe_dataset
from pipeline.privacy.medical import list_pages
from pipeline.privacy.naming import SourceLocator
from pipeline.scenes.cutting import ScenePlan
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder
from pipeline.storage.keys import RUN_FOLDER
from pipeline.units import Source, Unit


@dataclass(frozen=True)
class PlanSummary:
    """What planning found; safe to hand to a scheduler."""

    sources: int
    done: int
    left: int
    units: int
    removed: int
    """Committed sources that the stores no longer hold in that version: changed or deleted."""
    left_out: int = 0
    """Files that are no images by their name; neither sources nor quarantined."""
    skipped: dict[str, int] = field(default_factory=dict)
    """What else in the stores is no source, counted by reason: pipes, loops of links, markers of folders."""


def make_plan(
    run: RunFolder,
    *,
    workers: int,
    limit: int | None = None,
    retry: bool = False,
    lost: IdArray | None = None,
) -> PlanSummary:
    """Lists the stores, subtracts the ledger, groups the rest and writes both files.

    ``retry`` takes what failed instead of what is missing; ``lost`` are sources that are done, and whose
    objects are gone. ``limit`` takes only the first sources of the listing. Raises ``StorageError`` for a
    store that cannot be listed, ``JobError`` where the listing is empty or two sources meet in one object.
    """
    committed, before = run.ledger.committed(), PlannedBefore(run)
    wanted = wanted_of(committed, retry, no_ids() if lost is None else lost)
    begun = Attempts(run.folder).begun()
    left = Left(committed, wanted, read_units_named(run.folder, begun))
    left_out, skipped = Counter[str](), Counter[str]()
    total = _write_sources(run, left, limit, left_out, skipped)
    if total == 0:
        shown = ", ".join(describe_dataset(each) for each in run.job.datasets)
        others = f"; {left_out.total():,} files are no images by their name" if left_out else ""
        others += "".join(f"; {count:,} {reason}" for reason, count in skipped.items())
        raise JobError(f"datasets: no image found in {shown}; check the address and the pattern{others}")
    refuse_overwriting(run, before, committed)
    scenes, count = ScenePlan(run), 0
    with PlanFile(run.folder, UNITS, UNITS_SCHEMA) as table:
        for unit in scenes.split(_units(run, left, workers)):
            table.write(record_of(unit))
            begun.discard(unit.unit_id)
            count += 1
    scenes.clean(committed)
    clear_litter(run, unplanned=begun, is_whole_plan=limit is None and not retry)
    return PlanSummary(
        sources=total,
        done=total - left.count if not retry else len(committed.done),
        left=left.count,
        units=count,
        removed=len(committed.done) - left.seen if limit is None else 0,
        left_out=left_out.total(),
        skipped=dict(skipped),
    )


def _units(run: RunFolder, left: Left, workers: int) -> Iterator[Unit]:
    """Units that were begun before, then what stands or falls alone, then groups."""
    for group in read_groups(run.folder):
        left.note_group(group)
    kept = left.begun()
    yield from kept
    count = left.count - sum(len(unit.sources) for unit in kept)
    fixed = run.job.resources.unit_images
    sizes = repeat(fixed) if fixed else unit_sizes(count, workers)
    yield from cut(run.recipe_id, _left(run.folder, left), sizes)


def _left(folder: Folder, left: Left) -> Iterator[list[Attempted]]:
    for batch in read_batches(folder):
        yield from left.of_batch(batch)
    yield from filter(None, map(left.of_group_alone, read_groups(folder)))


def _write_sources(
    run: RunFolder, left: Left, limit: int | None, left_out: Counter[str], skipped: Counter[str]
) -> int:
    total = 0
    collisions = Collisions(run.job, run.layout.folder)
    with PlanFile(run.folder, SOURCES, SOURCES_SCHEMA) as table:
        for page in _list_sources(run, left_out, skipped):
            listed = page if limit is None else page[: limit - total]
            if listed:
                collisions.add(listed)
                left.note(table.write_columns(columns_of(listed)))
            total += len(listed)
            if total == limit:
                break
    collisions.refuse(run.folder)
    return total


def _list_sources(run: RunFolder, left_out: Counter[str], skipped: Counter[str]) -> Iterator[list[Source]]:
    locator = SourceLocator(run.job)
    series, originals = SeriesIndex(run.folder, locator), Originals(run, locator)
    for index, dataset in enumerate(run.job.datasets):
        images = _images(dataset, index, left_out, skipped)
        for page in with_conditions(dataset, paired(run.job, dataset, images, skipped)):
            sources = [locator.identify(dataset, entry) for entry in page]
            for source in sources:
                originals.refuse(source)
            yield series.with_groups(dataset, sources)


def _images(
    dataset: Dataset, index: int, left_out: Counter[str], skipped: Counter[str]
) -> Iterator[list[Entry]]:
    for page in list_pages(dataset, f"datasets[{index}]", skipped):
        # The files of an earlier run are no images: one run's output is another's input.
        entries = [entry for entry in page if not entry.key.startswith(f"{RUN_FOLDER}/")]
        images = [entry for entry in entries if not is_no_image(entry.key)]
        for entry in images:
            require_extra(entry.key, f"datasets[{index}]")
        left_out[dataset.name] += len(entries) - len(images)
        yield images
