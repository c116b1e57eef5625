"""Cuts the listing into units: small ones first and last, what is done left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from pipeline.ledger.ledger import Committed, contains
from pipeline.units import Group, Source, Unit, make_unit

UNIT_BYTES = 256 << 20
"""A unit ends early once its files come to this much."""


Wanted = Callable[[Sequence[str]], NDArray[np.bool_]]
"""For each identity of a source whether it is to be done."""


def wanted_of(committed: Committed, retry: bool, lost: NDArray[np.bytes_]) -> Wanted:
    """What is missing, or with ``retry`` what failed instead; what is done but lost in any case."""

    def is_wanted(ids: Sequence[str]) -> NDArray[np.bool_]:
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


class Grouping:
    """Cuts the listing into units; counts as it goes.

    Units are cut by position in the whole listing, not in what is left of it, so that a unit that
    killed its process is the same unit after a restart and its attempts add up.
    """

    def __init__(self, recipe_id: str, committed: Committed, sizes: Iterator[int], wanted: Wanted) -> None:
        self._recipe_id, self._committed, self._sizes, self._is_wanted = recipe_id, committed, sizes, wanted
        self.left = self.seen = 0

    def units(self, groups: Iterator[Group]) -> Iterator[Unit]:
        """The groups that are to be done, in units."""
        for block in _blocks(groups, self._sizes):
            members = [(source, attempt) for group in block for source, attempt in self._wanted(group)]
            if block[0][0].bundle:  # two units would write one object at the same time
                members = [(source, max(its for _, its in members)) for source, _ in members]
            for attempt in sorted({attempt for _, attempt in members}):
                chosen = [source for source, its in members if its == attempt]
                self.left += len(chosen)
                yield make_unit(self._recipe_id, attempt, chosen)

    def _wanted(self, group: Group) -> list[tuple[Source, int]]:
        """Those of a group that are to be done, with their attempt: all of them, where one is."""
        ids = [source.source_id for source in group]
        done = contains(self._committed.done, ids)
        self.seen += int(done.sum())
        if not self._is_wanted(ids).any():
            return []
        # What is done goes again where a new or repaired image has come to its group.
        before = [self._committed.attempt(each) for each, is_done in zip(ids, done, strict=True) if is_done]
        return [(source, max(before) + 1 if before else 0) for source in group]


def _blocks(groups: Iterator[Group], sizes: Iterator[int]) -> Iterator[list[Group]]:
    """A bundle is one block, whatever its size: it is written as one object."""
    block: list[Group] = []
    count = weight = 0
    size = next(sizes)
    for group in groups:
        heaviness = sum(max(source.size, 0) for source in group)
        bundle, before = group[0].bundle, block[-1][0].bundle if block else ""
        is_full = count + len(group) > size or weight + heaviness > UNIT_BYTES
        if block and (bundle != before or (is_full and not bundle)):
            yield block
            block, count, weight, size = [], 0, 0, next(sizes)
        block.append(group)
        count, weight = count + len(group), weight + heaviness
    if block:
        yield block
