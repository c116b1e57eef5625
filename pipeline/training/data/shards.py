"""Which pictures of a collection larger than memory are held at which step: a plan drawn from the seed.

Every epoch has its own order of the pictures, cut into shards of bounded size. A step draws from the last
``LIVE`` shards, and every ``shard_steps`` steps the oldest of them makes room for the next one. All of it is
a function of seed and step: not of the clock, nor of how many workers there are.

Of each shard, sample ``index`` of a batch draws from a part of its own: the ``index``-th of ``batch`` equal
parts of the shard's area. So a picture is drawn in proportion to its area, and a worker, which makes a range
of the batch, holds a range of each shard only.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.hashing import seed_of

LIVE = 3
"""Shards that a step draws from."""
HELD = LIVE + 2
"""Shards in memory at most: one is being read, and one may still be in use by samples made ahead."""
FEWEST_STEPS = 64
"""Steps from one shard to the next at least: more than are ever made ahead."""


@dataclass(frozen=True)
class Shard:
    """Pictures that are read together."""

    number: int
    """Its place in the run, from 0."""
    pictures: tuple[int, ...]
    """Numbers in the collection."""
    ends: tuple[int, ...]
    """Sums of their areas, in this order."""

    @property
    def area(self) -> int:
        """Of all its pictures."""
        return self.ends[-1]

    def at(self, share: float) -> int:
        """The picture at this share, 0 to below 1, of the area."""
        place = min(bisect.bisect_right(self.ends, share * self.area), len(self.ends) - 1)
        return self.pictures[place]

    def between(self, low: float, high: float) -> tuple[int, ...]:
        """The pictures that ``at`` gives for shares from ``low`` to below ``high``."""
        first = min(bisect.bisect_right(self.ends, low * self.area), len(self.ends) - 1)
        last = min(bisect.bisect_left(self.ends, high * self.area), len(self.ends) - 1)
        return self.pictures[first : last + 1]


class ShardPlan:
    """``plan.live(step)``: the shards of a step; ``plan.choose`` draws a picture of them."""

    def __init__(
        self,
        areas: Sequence[int],
        sizes: Sequence[int],
        *,
        seed: int,
        batch: int,
        shard_bytes: int,
        crops_per_image: int,
    ) -> None:
        assert all(size <= shard_bytes for size in sizes), "pictures larger than a shard are left out before"
        self._areas, self._sizes = np.array(areas, np.int64), np.array(sizes, np.int64)
        self._seed, self._batch, self._shard_bytes = seed, batch, shard_bytes
        self._epoch, self.shard = lru_cache(maxsize=2)(self._cut), lru_cache(maxsize=2 * HELD)(self._shard)
        self._lock = threading.Lock()
        self._first_of_epoch = [0]
        count = len(self._epoch(0))
        crops = crops_per_image * len(areas) / count
        self.shard_steps = max(FEWEST_STEPS, math.ceil(crops / batch))

    def live(self, step: int) -> tuple[Shard, ...]:
        """The shards that a step draws from; steps before the first are like it."""
        newest = max(0, step) // self.shard_steps + LIVE - 1
        return tuple(self.shard(number) for number in range(newest - LIVE + 1, newest + 1))

    def _shard(self, number: int) -> Shard:
        """The shard with this place in the run."""
        firsts = self._first_of_epoch
        with self._lock:
            while firsts[-1] <= number:
                firsts.append(firsts[-1] + len(self._epoch(len(firsts) - 1)))
        epoch = bisect.bisect_right(firsts, number) - 1
        pictures_N = self._epoch(epoch)[number - firsts[epoch]]
        ends = tuple(itertools.accumulate(self._areas[pictures_N].tolist()))
        return Shard(number, tuple(pictures_N.tolist()), ends)

    def choose(self, rng: random.Random, step: int, index: int) -> int:
        """The picture of one sample: of a live shard by area, there of the sample's own part."""
        live = self.live(step)
        ends = list(itertools.accumulate(shard.area for shard in live))
        shard = live[bisect.bisect_right(ends, rng.randrange(ends[-1]))]
        return shard.at((index % self._batch + rng.random()) / self._batch)

    def _cut(self, epoch: int) -> list[NDArray[np.int64]]:
        """The pictures of an epoch in its order, cut where a further one would not fit."""
        seed = seed_of(str(self._seed), "epoch", str(epoch))
        order_N = np.random.Generator(np.random.Philox(seed)).permutation(len(self._sizes))
        ends_N = np.cumsum(self._sizes[order_N])
        shards, first = [], 0
        while first < len(order_N):
            before = int(ends_N[first - 1]) if first else 0
            last = int(np.searchsorted(ends_N, before + self._shard_bytes, side="right"))
            shards.append(order_N[first:last])
            first = last
        return shards
