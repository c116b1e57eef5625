"""The plan: what the stores hold now, minus what the ledger holds, in units.

Written as two Parquet files: ``plan/sources.parquet`` lists every source that belongs to the job today,
``plan/units.parquet`` the work that is left, one row per unit. Both are replaced whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice, repeat

import numpy as np
import pyarrow as pa

from pipeline.errors import JobError
from pipeline.ledger.attempts import Attempts
from pipeline.ledger.committed import Committed
from pipeline.ledger.identities import IdArray, no_ids
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.cutting import Cutter, Rows
from pipeline.planning.gone import remove_gone
from pipeline.planning.grouping import Left, unit_sizes, wanted_of
from pipeline.planning.known import LastPlan, Note, write_note
from pipeline.planning.listing import Listing, write_sources
from pipeline.planning.no_images import described
from pipeline.planning.overwriting import PlannedBefore, refuse_overwriting
from pipeline.planning.plan_files import (
    UNITS,
    UNITS_SCHEMA,
    PlanFile,
    batch_of,
    read_spans,
    read_units_named,
    record_of,
)
from pipeline.planning.series import read_groups
from pipeline.planning.tidying import clear_litter
from pipeline.privacy.datasets import describe_dataset
from pipeline.scenes.cutting import ScenePlan
from pipeline.storage.folder import Folder
from pipeline.units import unit_of

_ROWS = 1 << 16
"""Sources that are looked at together: units are written so many at once, which is quicker."""
_GROUPS = 256
"""Groups that are looked at together."""


@dataclass(frozen=True)
class PlanSummary:
    """What planning found; safe to hand to a scheduler."""

    sources: int
    done: int
    left: int
    units: int
    removed: int
    """Committed sources that the stores no longer hold in that version: changed or deleted."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Files that are no images by their name, counted by ending; neither sources nor quarantined."""
    skipped: dict[str, int] = field(default_factory=dict)
    """What else in the stores is no source, counted by reason: pipes, loops of links, markers of folders."""


def make_plan(
    run: RunFolder,
    *,
    workers: int,
    limit: int | None = None,
    retry: bool = False,
    lost: IdArray | None = None,
    is_finished: Callable[[], bool] = lambda: False,
) -> PlanSummary:
    """Lists the stores, subtracts the ledger, groups the rest and writes both files.

    ``retry`` takes what failed instead of what is missing; ``lost`` are sources that are done, and whose
    objects are gone. ``limit`` takes only the first sources of the listing. Where the listing is that of the
    last plan, ``is_finished`` is asked whether all of it is known to be done. Raises ``StorageError`` for a
    store that cannot be listed, ``JobError`` where the listing is empty or two sources meet in one object.
    """
    with LastPlan(run) as last:
        listing = write_sources(run, last, limit)
        if listing.sources == 0:
            raise JobError(_nothing_found(run, listing))
        if listing.note and is_finished():
            return _summary(listing, done=listing.sources, removed=listing.note.removed)
        committed = run.ledger.committed()
        wanted = wanted_of(committed, retry, no_ids() if lost is None else lost)
        begun = Attempts(run.folder).begun()
        left = _left(listing.folder, Left(committed, wanted, read_units_named(run.folder, begun)))
        if left.count:
            refuse_overwriting(run, PlannedBefore(run, last), committed)
        if limit is None:
            remove_gone(run, listing.folder)
        count = _write_units(run, listing.folder, left, workers, begun, committed)
        removed = len(committed.done) - left.seen if limit is None else 0
        done = len(committed.done) if retry else listing.sources - left.count
        images = left.count
        del committed, left, wanted  # before the plan's identities are sorted, which takes as much again
        write_note(run.folder, Note(listing.token, last.state, listing.digest(), removed))
    clear_litter(run, unplanned=begun, is_whole_plan=limit is None and not retry)
    return _summary(listing, done, removed, left=images, units=count)


def _summary(listing: Listing, done: int, removed: int, left: int = 0, units: int = 0) -> PlanSummary:
    left_out, skipped = dict(listing.left_out), dict(listing.skipped)
    return PlanSummary(listing.sources, done, left, units, removed, left_out, skipped)


def _left(listed: Folder, left: Left) -> Left:
    for span, batch in read_spans(listed, ["source_id", "group"], _ROWS):
        left.note(batch, span)
    for group in read_groups(listed):
        left.note_group(group)
    return left


def _nothing_found(run: RunFolder, listing: Listing) -> str:
    shown = ", ".join(describe_dataset(each) for each in run.job.datasets)
    others = f"; left out: {described(listing.left_out)}" if listing.left_out else ""
    others += "".join(f"; {count:,} {reason}" for reason, count in listing.skipped.items())
    return f"datasets: no image found in {shown}; check the address and the pattern{others}"


def _write_units(
    run: RunFolder, listed: Folder, left: Left, workers: int, begun: set[str], committed: Committed
) -> int:
    """How many there are; those that were planned are taken out of ``begun``."""
    scenes, count = ScenePlan(run), 0
    with PlanFile((run.folder, UNITS), UNITS_SCHEMA) as table:
        for batch in _units(run, listed, left, workers) if left.count else ():
            count += _write_batch(table, scenes, batch, begun)
    scenes.clean(committed)
    return count


def _write_batch(table: PlanFile, scenes: ScenePlan, batch: pa.RecordBatch, begun: set[str]) -> int:
    """Units as they are, but for those with scenes among their images."""
    count = start = 0
    for place in (*np.flatnonzero(scenes.may_be_among(batch)).tolist(), len(batch)):
        if whole := batch.slice(start, place - start):
            table.write_rows(pa.Table.from_batches([whole]))
            begun.difference_update(whole["unit_id"].to_pylist() if begun else ())
            count += len(whole)
        for unit in scenes.split(map(unit_of, batch.slice(place, 1).to_pylist())):
            table.write(record_of(unit))
            begun.discard(unit.unit_id)
            count += 1
        start = place + 1
    return count


def _units(run: RunFolder, listed: Folder, left: Left, workers: int) -> Iterator[pa.RecordBatch]:
    """Units that were begun before, then what stands or falls alone, then groups."""
    kept = left.begun()
    if kept:
        yield batch_of(kept)
    count = left.count - sum(len(unit.sources) for unit in kept)
    fixed = run.job.resources.unit_images
    sizes = repeat(fixed) if fixed else unit_sizes(count, workers)
    yield from Cutter(run.recipe_id, sizes).cut(_to_cut(listed, left))


def _to_cut(listed: Folder, left: Left) -> Iterator[Rows]:
    for _, batch in read_spans(listed, None, _ROWS, left_out=left.nothing_in):
        yield left.of_batch(batch)
    groups = read_groups(listed)
    while some := list(islice(groups, _GROUPS)):
        yield left.of_groups(some)
