"""What is left to do, and in units of how many images: small ones first and last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.ledger.committed import Committed
from pipeline.ledger.identities import IdArray, IdIndex, contains, ids_of
from pipeline.planning.cutting import Rows
from pipeline.planning.plan_files import table_of
from pipeline.privacy.naming import columns_of
from pipeline.units import Group, Source, Unit

Attempted = tuple[Source, int]
"""A source that is to be done, and its attempt."""

_Looked = tuple[IdArray, NDArray[np.bool_], NDArray[np.int32], NDArray[np.bool_]]
"""Of a batch: identities, which are to be done alone, at which attempt, and which are done."""

Wanted = Callable[[IdArray, NDArray[np.bool_]], NDArray[np.bool_]]
"""For each identity of a source, and whether it is done, whether it is to be done."""


def wanted_of(committed: Committed, retry: bool, lost: IdArray) -> Wanted:
    """What is missing, or with ``retry`` what failed instead; what is done but lost in any case."""

    def is_wanted(ids: IdArray, done: NDArray[np.bool_]) -> NDArray[np.bool_]:
        missing = contains(committed.failed, ids) if retry else ~done
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
        self._committed, self._is_wanted, self._done = committed, wanted, IdIndex(committed.done)
        self._again: set[str] = set()
        self.count = self.seen = 0
        self.nothing_in: set[int] = set()
        """Spans of the listing in which nothing is to be done alone."""
        self._something_in: set[int] = set()
        # A bundle is cut whole, so that its unit is the same one again if it can be.
        self._take([unit for unit in begun if unit.strip is None and not unit.sources[0].bundle])

    def _take(self, begun: list[Unit]) -> None:
        self._begun = begun
        self._unit_of = {each.source_id: unit for unit in begun for each in unit.sources}
        self._ids = np.sort(ids_of(list(self._unit_of)))

    def note(self, batch: pa.RecordBatch, span: int) -> None:
        """Counts a batch of a span of the listing; what belongs to groups is left to ``note_group``."""
        ids, wanted, attempts, done = self._wanted(batch)
        self.seen += int(done.sum())
        self.count += int(wanted.sum())
        (self._something_in if wanted.any() else self.nothing_in).add(span)
        self.nothing_in -= self._something_in
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

    def of_batch(self, batch: pa.RecordBatch) -> Rows:
        """Sources of a batch that are to be done and belong to no group, each alone, without begun units."""
        ids, wanted, attempts, _ = self._wanted(batch)
        mine = wanted & ~contains(self._ids, ids)
        rows = batch if mine.all() else batch.filter(pa.array(mine))
        return Rows(pa.Table.from_batches([rows]), attempts[mine], np.ones(len(rows), bool))

    def of_group(self, group: Group) -> list[Attempted]:
        """The whole group, where one of it is to be done: what is done goes again where a new or repaired
        image has come to it."""
        ids = ids_of([source.source_id for source in group])
        done = self._done.contains(ids)
        if not self._is_wanted(ids, done).any():
            return []
        before = self._committed.attempts_of(ids[done])
        return [(source, int(before.max()) + 1 if len(before) else 0) for source in group]

    def of_groups(self, groups: Iterable[Group]) -> Rows:
        """The same of some groups, without those of begun units."""
        members = [self.of_group(group) for group in groups if group[0].source_id not in self._unit_of]
        firsts = [place == 0 for group in members for place in range(len(group))]
        together = [each for group in members for each in group]
        sources = table_of(columns_of([source for source, _ in together]))
        return Rows(sources, np.array([its for _, its in together], np.int32), np.array(firsts, bool))

    def _wanted(self, batch: pa.RecordBatch) -> _Looked:
        ids = ids_of(batch["source_id"])
        done = self._done.contains(ids)
        alone = np.asarray(batch["group"].to_numpy(zero_copy_only=False) == "", bool)
        attempts = np.where(done, self._committed.attempts_of(ids) + 1, 0).astype(np.int32)
        return ids, self._is_wanted(ids, done) & alone, attempts, done
