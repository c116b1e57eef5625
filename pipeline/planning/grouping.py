"""Cuts what is left into units: small ones first and last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.ledger.committed import Committed, IdArray, contains, ids_of
from pipeline.planning.plan_files import sources_of
from pipeline.units import Group, Source, Unit, make_unit

UNIT_BYTES = 256 << 20
"""A unit ends early once its files come to this much."""

Attempted = tuple[Source, int]
"""A source that is to be done, and its attempt."""

Wanted = Callable[[IdArray], NDArray[np.bool_]]
"""For each identity of a source whether it is to be done."""


def wanted_of(committed: Committed, retry: bool, lost: IdArray) -> Wanted:
    """What is missing, or with ``retry`` what failed instead; what is done but lost in any case."""

    def is_wanted(ids: IdArray) -> NDArray[np.bool_]:
        missing = contains(committed.failed, ids) if retry else ~contains(committed.done, ids)
        return missing | contains(lost, ids)

    return is_wanted


def unit_sizes(total: int, workers: int) -> Iterator[int]:
    """How many images each unit takes, of ``total`` for so many workers; goes on without end.

    Small units first, so that the first commit comes soon, and small ones last, so that no worker waits
    long for the others; up to 32 between, for committing a unit costs as much as an image.
    """
    most = max(1, min(32, -(-total // (8 * workers))))
    rising = [size for size in (2, 4, 8, 16) if size < most for _ in range(workers)]
    between, rest = divmod(max(0, total - 2 * sum(rising)), most)
    return chain(rising, repeat(most, between), [rest] if rest else [], reversed(rising), repeat(most))


class Left:
    """Which of the listed sources are to be done; counts as it goes.

    ``begun`` are units that a run before began and did not commit. Those of which every source is to be done
    again, at the same attempt, are taken as they are, so that a unit that killed its process is the same unit
    after a restart and its attempts add up; all others are cut from what is left besides.
    """

    def __init__(self, committed: Committed, wanted: Wanted, begun: list[Unit]) -> None:
        self._committed, self._is_wanted = committed, wanted
        self._again: set[str] = set()
        self.count = self.seen = 0
        # A bundle is cut whole, so that its unit is the same one again if it can be.
        self._take([unit for unit in begun if unit.strip is None and not unit.sources[0].bundle])

    def _take(self, begun: list[Unit]) -> None:
        self._begun = begun
        self._unit_of = {each.source_id: unit for unit in begun for each in unit.sources}
        self._ids = np.sort(ids_of(list(self._unit_of)))

    def note(self, batch: pa.RecordBatch) -> None:
        """Counts a batch of the listing; sources that belong to groups are left to ``note_group``."""
        self.seen += int(contains(self._committed.done, batch["source_id"]).sum())
        ids, wanted, attempts = self._wanted(batch)
        self.count += int(wanted.sum())
        for place in np.flatnonzero(wanted & contains(self._ids, ids)).tolist():
            self._note_again(batch["source_id"][place].as_py(), int(attempts[place]))

    def note_group(self, group: Group) -> None:
        """Counts a group."""
        members = self.of_group(group)
        self.count += len(members)
        if len({id(self._unit_of.get(each.source_id)) for each, _ in members}) == 1:  # none, or one unit
            for source, attempt in members:
                self._note_again(source.source_id, attempt)

    def _note_again(self, source_id: str, attempt: int) -> None:
        unit = self._unit_of.get(source_id)
        if unit is not None and unit.attempt == attempt:
            self._again.add(source_id)

    def begun(self) -> list[Unit]:
        """The units that are taken as they were; asked for once, after everything was noted."""
        self._take([u for u in self._begun if all(each.source_id in self._again for each in u.sources)])
        return self._begun

    def of_batch(self, batch: pa.RecordBatch) -> Iterator[list[Attempted]]:
        """Sources of a batch that are to be done and belong to no group, each alone, without begun units."""
        ids, wanted, attempts = self._wanted(batch)
        places = np.flatnonzero(wanted & ~contains(self._ids, ids))
        if len(places):
            sources = sources_of(batch.take(pa.array(places)))
            yield from ([each] for each in zip(sources, attempts[places].tolist(), strict=True))

    def of_group(self, group: Group) -> list[Attempted]:
        """The whole group, where one of it is to be done: what is done goes again where a new or repaired
        image has come to it."""
        ids = ids_of([source.source_id for source in group])
        done = contains(self._committed.done, ids)
        if not self._is_wanted(ids).any():
            return []
        before = self._committed.attempts_of(ids[done])
        return [(source, int(before.max()) + 1 if len(before) else 0) for source in group]

    def of_group_alone(self, group: Group) -> list[Attempted]:
        """The same, without those of begun units."""
        return [] if group[0].source_id in self._unit_of else self.of_group(group)

    def _wanted(self, batch: pa.RecordBatch) -> tuple[IdArray, NDArray[np.bool_], NDArray[np.int32]]:
        ids = ids_of(batch["source_id"])
        done = contains(self._committed.done, ids)
        alone = np.asarray(batch["group"].to_numpy(zero_copy_only=False) == "", bool)
        attempts = np.where(done, self._committed.attempts_of(ids) + 1, 0).astype(np.int32)
        return ids, self._is_wanted(ids) & alone, attempts


def cut(recipe_id: str, left: Iterator[list[Attempted]], sizes: Iterator[int]) -> Iterator[Unit]:
    """Units of what is left; each element of it stays in one unit, and so does a bundle."""
    for block in _blocks(left, sizes):
        if block[0][0].bundle:  # two units would write one object at the same time
            yield make_unit(recipe_id, max(its for _, its in block), [source for source, _ in block])
            continue
        for attempt in sorted({its for _, its in block}):
            yield make_unit(recipe_id, attempt, [source for source, its in block if its == attempt])


def _blocks(left: Iterator[list[Attempted]], sizes: Iterator[int]) -> Iterator[list[Attempted]]:
    """A bundle is one block, whatever its size: it is written as one object."""
    block: list[Attempted] = []
    weight = 0
    size = next(sizes)
    for members in left:
        heaviness = sum(max(source.size, 0) for source, _ in members)
        bundle, before = members[0][0].bundle, block[-1][0].bundle if block else ""
        is_full = len(block) + len(members) > size or weight + heaviness > UNIT_BYTES
        if block and (bundle != before or (is_full and not bundle)):
            yield block
            block, weight, size = [], 0, next(sizes)
        block += members
        weight += heaviness
    if block:
        yield block
