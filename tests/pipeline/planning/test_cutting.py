"""Units cut by column: as they were cut source by source, with the names of ``make_unit``."""

import random
from itertools import count

import numpy as np
import pytest

from pipeline.hashing import short_hash
from pipeline.planning import cutting
from pipeline.planning.cutting import Cutter, Rows
from pipeline.planning.plan_files import table_of
from pipeline.privacy.naming import columns_of
from pipeline.units import Source, make_unit, unit_of


def by_hand(elements, sizes):
    """Elements, each a list of sources with their attempts, in units: one after the other."""
    block, size = [], next(sizes)
    for members in elements:
        weight = sum(max(source.size, 0) for source, _ in [*block, *members])
        bundle, before = members[0][0].bundle, block[-1][0].bundle if block else ""
        is_full = len(block) + len(members) > size or weight > cutting.UNIT_BYTES
        if block and (bundle != before or (is_full and not bundle)):
            yield from units_of(block)
            block, size = [], next(sizes)
        block = block + members
    if block:
        yield from units_of(block)


def units_of(block):
    if block[0][0].bundle:
        block = [(source, max(its for _, its in block)) for source, _ in block]
    for attempt in sorted({its for _, its in block}):
        yield make_unit("recipe", attempt, [source for source, its in block if its == attempt])


def elements_of(rng):
    numbers = count()
    for _ in range(rng.randrange(1, 60)):
        bundle = rng.choice(["", "", "", "b1", "b2"])
        for _ in range(rng.choice([1, 1, 5])):
            length = rng.choice([1, 1, 1, 3])
            yield [attempted(rng, next(numbers), bundle) for _ in range(length)]


def attempted(rng, number, bundle):
    size = rng.choice([-1, 0, 1, 7, 90])
    source = Source("d", f"{number}", size, "", short_hash(str(number)), bundle=bundle)
    return source, rng.choice([0, 0, 0, 1, 2])


def rows_of(elements):
    together = [each for members in elements for each in members]
    attempts = np.array([its for _, its in together], np.int32)
    firsts = np.array([place == 0 for members in elements for place in range(len(members))], bool)
    return Rows(table_of(columns_of([source for source, _ in together])), attempts, firsts)


@pytest.mark.parametrize("seed", range(8))
def test_units_are_those_that_are_cut_source_by_source(monkeypatch, seed):
    monkeypatch.setattr(cutting, "UNIT_BYTES", 200)
    rng = random.Random(seed)
    elements = list(elements_of(rng))
    sizes = [rng.randrange(1, 9) for _ in range(1000)]
    step = rng.randrange(1, 30)
    parts = (rows_of(elements[start : start + step]) for start in range(0, len(elements), step))
    batches = Cutter("recipe", iter(sizes)).cut(parts)
    found = [unit_of(record) for batch in batches for record in batch.to_pylist()]
    assert found == list(by_hand(elements, iter(sizes)))
