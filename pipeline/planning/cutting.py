"""Cuts what is left into units, by column: no object of Python is made for any source."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.hashing import framed, short_digest
from pipeline.planning.plan_files import SOURCES_SCHEMA, UNITS_SCHEMA

UNIT_BYTES = 256 << 20
"""A unit ends early once its files come to this much."""
_FRAME = framed("0" * 32)[:8].decode()
"""What stands before an identity in a message that is hashed: its length."""


@dataclass(frozen=True)
class Rows:
    """Sources that are to be done, one after the other."""

    sources: pa.Table
    """As in the plan's file."""
    attempts: NDArray[np.int32]
    firsts: NDArray[np.bool_]
    """Where something begins that stays in one unit: a source alone, or a group of them."""

    def __len__(self) -> int:
        return len(self.attempts)

    def cut(self, start: int, end: int) -> Rows:
        """Those from one place up to another."""
        return Rows(self.sources.slice(start, end - start), self.attempts[start:end], self.firsts[start:end])

    def and_then(self, others: Rows) -> Rows:
        """These and others."""
        if not len(self):
            return others
        attempts = np.concatenate([self.attempts, others.attempts]).astype(np.int32)
        firsts = np.concatenate([self.firsts, others.firsts]).astype(bool)
        return Rows(pa.concat_tables([self.sources, others.sources]), attempts, firsts)


def no_rows() -> Rows:
    """None at all."""
    return Rows(SOURCES_SCHEMA.empty_table(), np.empty(0, np.int32), np.empty(0, bool))


class Cutter:
    """``cut(rows)``: rows of the units' file."""

    def __init__(self, recipe_id: str, sizes: Iterator[int]) -> None:
        self._recipe_id, self._sizes, self._size = recipe_id, sizes, next(sizes)

    def cut(self, left: Iterator[Rows]) -> Iterator[pa.RecordBatch]:
        """Units of what is left, in its order: a group stays in one unit, and so does a bundle."""
        waiting = no_rows()
        for rows in left:
            waiting = waiting.and_then(rows)
            yield from self._units(waiting, bounds := self._blocks(waiting, is_last=False))
            waiting = waiting.cut(bounds[-1], len(waiting))
        yield from self._units(waiting, self._blocks(waiting, is_last=True))

    def _blocks(self, rows: Rows, is_last: bool) -> list[int]:
        """Where blocks begin and the last one ends. One that more rows could go into is left out, unless
        there are no more."""
        starts = [*np.flatnonzero(rows.firsts).tolist(), len(rows)]
        sizes = np.maximum(rows.sources["size"].to_numpy(), 0)
        weights = np.concatenate([[0], np.cumsum(sizes)])[starts].tolist()
        found, at = [0], 0
        for end, is_bundle in _runs(rows.sources["bundle"].take(pa.array(starts[:-1], pa.int64()))):
            while at < end:
                to = end if is_bundle else self._filled(starts, weights, at, end)
                if to == len(starts) - 1 and not is_last:
                    return found
                found.append(starts[to])
                at, self._size = to, next(self._sizes)
        return found

    def _filled(self, starts: list[int], weights: list[int], at: int, end: int) -> int:
        """How far a block goes that begins here."""
        most = bisect_right(starts, starts[at] + self._size, at + 1, min(at + self._size, end) + 1) - 1
        if weights[most] - weights[at] > UNIT_BYTES:
            most = bisect_right(weights, weights[at] + UNIT_BYTES, at + 1, most + 1) - 1
        return max(most, at + 1)

    def _units(self, rows: Rows, bounds: list[int]) -> Iterator[pa.RecordBatch]:
        """A block is one unit, or one for each attempt; a bundle is one in any case: two units would write
        one object at the same time."""
        if len(bounds) < 2:
            return
        sources, attempts = rows.sources.slice(0, bounds[-1]).combine_chunks(), rows.attempts[: bounds[-1]]
        blocks = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        if attempts.any():
            newest = np.maximum.reduceat(attempts, bounds[:-1])[blocks]
            alone = np.asarray(pc.equal(sources["bundle"], "").to_numpy(), bool)
            attempts = np.where(alone, attempts, newest).astype(np.int32)
            order = np.lexsort((attempts, blocks))
            sources, attempts = sources.take(pa.array(order)).combine_chunks(), attempts[order]
        changes = (np.diff(blocks) != 0) | (np.diff(attempts) != 0)
        yield self._batch(
            sources, attempts, np.concatenate([[0], np.flatnonzero(changes) + 1, [len(blocks)]])
        )

    def _batch(
        self, sources: pa.Table, attempts: NDArray[np.int32], bounds: NDArray[np.intp]
    ) -> pa.RecordBatch:
        struct = pa.StructArray.from_arrays(
            [each.chunk(0) for each in sources.columns], fields=list(SOURCES_SCHEMA)
        )
        of_units = attempts[bounds[:-1]]
        ids, ends = sources["source_id"].to_pylist(), bounds.tolist()
        heads = {each: framed(self._recipe_id, str(each)) for each in np.unique(of_units).tolist()}
        names = [
            _name(heads[attempt], ids[start:end])
            for attempt, (start, end) in zip(of_units.tolist(), pairwise(ends), strict=True)
        ]
        lists = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), struct)
        columns = [pa.array(names), pa.array(of_units), lists.cast(UNITS_SCHEMA.field("sources").type)]
        columns.append(pa.nulls(len(names), UNITS_SCHEMA.field("part").type))
        return pa.RecordBatch.from_arrays(columns, schema=UNITS_SCHEMA)


def _runs(bundles: pa.ChunkedArray) -> Iterator[tuple[int, bool]]:
    """Where each run of elements of one bundle ends, or of none; and whether it is one."""
    if not pc.any(pc.not_equal(bundles, "")).as_py():
        yield len(bundles), False
        return
    codes = bundles.combine_chunks().dictionary_encode()
    numbers = codes.indices.to_numpy()
    starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for start, end in pairwise(starts):
        yield end, codes.dictionary[numbers[start]].as_py() != ""


def _name(head: bytes, ids: list[str]) -> str:
    """As ``pipeline.units.make_unit`` names the unit."""
    return short_digest(head + (_FRAME + _FRAME.join(sorted(ids))).encode()).hex()
