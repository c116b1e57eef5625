"""Merges the files of many units into segments, so that reading a ledger costs its rows and not its units.

In this order, and a crash anywhere between loses and doubles nothing:

1. a segment is written, under a name that nobody has; until a manifest names it, it is litter;
2. the next manifest is created, which names it: **this PUT is the seal**. Readers take a unit out of its
   segment from now on, and pass over its file;
3. files of units that are in a segment are deleted, whenever they were sealed.

Segments grow: those of at most twice as many units as come are merged with them, so that a row is written
again some log(N) times, up to ``MOST_UNITS`` units. What a manifest replaces stays until the next one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import StorageError
from pipeline.ledger.fetching import fetched
from pipeline.ledger.joining import joined_units
from pipeline.ledger.ledger import Ledger, unit_of
from pipeline.ledger.manifest import Manifest, Segment, write_manifest
from pipeline.ledger.schema import repeated
from pipeline.ledger.sealed import Sealed
from pipeline.storage.scratch import scratch

SEAL_AT = 64
"""So many files of units are merged; fewer stay as they are."""
MOST_UNITS = 32_768
"""Of a segment: some million images."""
ROW_GROUP = 50_000
ROW_GROUP_BYTES = 64 << 20
_WEIGHED = 16
"""One unit of so many: weighing one takes a third of a millisecond, as long as writing it."""
_STATISTICS = ["unit_id", "attempt", "status", "finished_at"]
_DELETED_AT_ONCE = 1000


class Rows(NamedTuple):
    """The rows of a unit among those of others: a slice of a table with forty columns takes as long to make
    as its rows to copy."""

    table: pa.Table
    start: int
    end: int

    @property
    def length(self) -> int:
        """How many."""
        return self.end - self.start

    @property
    def width(self) -> float:
        """Bytes a row."""
        return float(self.table.slice(self.start, self.length).nbytes) / max(self.length, 1)


UnitRows = tuple[str, int, Rows]
"""Name of a unit, which of several holders of it comes first, rows."""


def seal(ledger: Ledger, check: Callable[[], None], at_least: int | None = None) -> Manifest | None:
    """Merges the files of units, where there are enough of them; the new manifest, if there is one.

    For the one process that holds the run's lease: ``check`` raises where it has lost it.
    """
    files, sealed = ledger.unit_keys(), ledger.sealed()
    inside = sealed.holds([unit_of(key) for key in files])
    new = [key for key, is_inside in zip(files, inside, strict=True) if not is_inside]
    manifest = None
    if len(new) >= (SEAL_AT if at_least is None else at_least) or sealed.lost:
        manifest = _with_segments(ledger, sealed, new, check)
        if manifest is None:
            return None
    check()
    _delete(ledger, files if manifest else [key for key, is_in in zip(files, inside, strict=True) if is_in])
    return manifest


def _with_segments(
    ledger: Ledger, sealed: Sealed, new: list[str], check: Callable[[], None]
) -> Manifest | None:
    merged = _to_merge(sealed.segments, len(new))
    # Strays too: a manifest that is gone must not take its segments with it.
    holders = [
        *(_of_today(ledger, sealed.tables_of(each), each.key) for each in merged),
        *(_of_today(ledger, sealed.readable_tables(each), each.key) for each in sealed.strays),
    ]
    units = merge(_of_files(ledger, new), *(units_of(tables, i) for i, tables in enumerate(holders)))
    written = tuple(write_segments(ledger, sealed.place, each_once(units)))
    kept = tuple(each for each in sealed.segments if each not in merged)
    return replace_manifest(ledger, sealed, kept + written, check)


def replace_manifest(
    ledger: Ledger, sealed: Sealed, segments: tuple[Segment, ...], check: Callable[[], None]
) -> Manifest | None:
    """Creates the manifest that names these segments instead; ``None`` where another run was faster."""
    retired = tuple(each.key for each in sealed.segments if each not in segments)
    manifest = Manifest(sealed.manifest.number + 1, segments, retired)
    check()
    if not write_manifest(ledger.folder, sealed.place, manifest):
        return None  # another run has sealed meanwhile: its manifest counts, and ours is litter
    _delete(ledger, _litter(sealed, manifest))
    return manifest


def _to_merge(segments: Iterable[Segment], units: int) -> list[Segment]:
    """The segments that go into the new one, from the smallest."""
    chosen: list[Segment] = []
    for each in sorted(segments, key=lambda each: each.units):
        if not units or each.units > 2 * units or each.units + units > MOST_UNITS:
            break
        chosen.append(each)
        units += each.units
    return chosen


def _of_files(ledger: Ledger, keys: list[str]) -> Iterator[UnitRows]:
    for units, lengths, table in joined_units(ledger, fetched(ledger.folder, keys), len(keys)):
        ends = accumulate(lengths)
        for unit_id, length, end in zip(units, lengths, ends, strict=True):
            yield unit_id, -1, Rows(table, end - length, end)


def _of_today(ledger: Ledger, tables: Iterator[pa.Table], key: str) -> Iterator[pa.Table]:
    """Rows of a segment, which an older version may have sealed."""
    for table in tables:
        conformed = ledger.conformed(table)
        if conformed is None:
            raise StorageError(
                f"{ledger.folder.uri(key)}: a segment of the ledger with columns that this restora does not "
                "know; a newer one sealed it, or it is damaged: update restora, or bring it back from a copy"
            )
        yield conformed


def units_of(tables: Iterator[pa.Table], place: int) -> Iterator[UnitRows]:
    """The units of a segment, out of its row groups; ``place``: which of several holders comes first."""
    for table in tables:
        units = pc.run_end_encode(table["unit_id"].combine_chunks())
        start = 0
        for unit_id, end in zip(units.values.to_pylist(), units.run_ends.to_pylist(), strict=True):
            yield unit_id, place, Rows(table, start, end)
            start = end


def each_once(units: Iterator[UnitRows]) -> Iterator[tuple[str, Rows]]:
    """Each unit from its first holder; they come in order of name."""
    before = None
    for unit_id, _, rows in units:
        if unit_id != before:
            yield unit_id, rows
        before = unit_id


def write_segments(ledger: Ledger, place: str, units: Iterator[tuple[str, Rows]]) -> Iterator[Segment]:
    """Stores units, in order of name, as segments that no manifest names yet."""
    first = next(units, None)
    while first is not None:
        key = f"{place}/{uuid.uuid4().hex}.parquet"
        with scratch("seal") as folder:
            path = folder / "segment.parquet"
            count, rows, first = _write_segment(path, ledger, first, units)
            ledger.folder.put_file(key, path)
            yield Segment(key, count, rows, path.stat().st_size)


def _write_segment(
    path: Path, ledger: Ledger, first: tuple[str, Rows], units: Iterator[tuple[str, Rows]]
) -> tuple[int, int, tuple[str, Rows] | None]:
    """At most ``MOST_UNITS`` units; how many units and rows, and the first unit of the next segment."""
    options = {"compression": "zstd", "write_statistics": _STATISTICS, "write_page_checksum": True}
    options |= {"use_dictionary": repeated(ledger.schema)}
    waiting, held, width = [first[1]], first[1].length, first[1].width
    count, rows = 1, held
    following = None
    with pq.ParquetWriter(path, ledger.schema, **options) as writer:
        for unit in units:
            if count == MOST_UNITS:
                following = unit
                break
            if count % _WEIGHED == 0:
                width = max(width, unit[1].width)
            together = held + unit[1].length
            if together > ROW_GROUP or together * width > ROW_GROUP_BYTES:
                writer.write_table(_joined(ledger, waiting), row_group_size=1 << 30)
                waiting, held = [], 0
            waiting.append(unit[1])
            held += unit[1].length
            count, rows = count + 1, rows + unit[1].length
        writer.write_table(_joined(ledger, waiting), row_group_size=1 << 30)
    return count, rows, following


def _joined(ledger: Ledger, waiting: list[Rows]) -> pa.Table:
    """Rows under the columns of today, in one piece: to write a thousand pieces takes twice as long."""
    bounds: dict[int, tuple[pa.Table, int, int]] = {}  # what is asked of each table, in order
    for table, start, end in waiting:
        first = bounds[id(table)][1] if id(table) in bounds else start
        bounds[id(table)] = table, first, end
    shift, total = {}, 0  # from places in a table to places in all of them
    for name, (_, first, last) in bounds.items():
        shift[name] = total - first
        total += last - first
    whole = pa.concat_tables(
        [table.slice(first, last - first) for table, first, last in bounds.values()],
        promote_options="default",
    ).combine_chunks()
    starts = np.array([start + shift[id(table)] for table, start, _ in waiting])
    counts = np.array([each.length for each in waiting])
    before = np.cumsum(counts) - counts
    places = np.repeat(starts - before, counts) + np.arange(counts.sum())
    if not np.array_equal(places, np.arange(total)):
        whole = whole.take(pa.array(places))
    return ledger.conformed(whole)


def _litter(sealed: Sealed, manifest: Manifest) -> list[str]:
    """What was there before the manifest that now counts, and no manifest from it on will name.

    Whoever wrote one of these and is still at it finds its number taken, and deletes nothing.
    """
    used = {each.key for each in manifest.segments} | set(manifest.retired)
    return [key for key in sealed.listed if key not in used]


def _delete(ledger: Ledger, keys: list[str]) -> None:
    for start in range(0, len(keys), _DELETED_AT_ONCE):
        ledger.folder.delete_all(keys[start : start + _DELETED_AT_ONCE])
