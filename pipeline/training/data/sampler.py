"""Which sample comes when: a pure function of seed, step and the sample's place in the global batch.

So the position of a run is its step number: going on after a kill, and on another number of workers,
takes the very samples that an uninterrupted run takes.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.hashing import seed_of
from pipeline.training.recipe.sections import Data


@dataclass(frozen=True)
class Draw:
    """One sample: where it is cut, how it is turned, and the seed of its degradation."""

    picture: int
    places: tuple[tuple[int, int], ...]
    """Top and left of the candidates."""
    flip: bool
    quarters: int
    """Turns by 90 degrees."""
    channels: tuple[int, ...]
    """Their order."""
    seed: int


Choice = Callable[[random.Random, int, int], int]
"""``choose(rng, step, index)``: the number of a picture."""


class Sampler:
    """``sampler(step, index)``; a picture is drawn in proportion to its area, or as ``choose`` says."""

    def __init__(
        self, sizes: Sequence[tuple[int, ...]], data: Data, seed: int, choose: Choice | None = None
    ) -> None:
        self._sizes, self._data, self._seed = sizes, data, seed
        self._ends = list(itertools.accumulate(height * width for height, width, _ in sizes))
        self._choose = choose or self._by_area

    def __call__(self, step: int, index: int) -> Draw:
        """The sample with this place in the global batch of this step."""
        seed = seed_of(str(self._seed), "sample", str(step), str(index))
        rng = random.Random(seed)
        picture = self._choose(rng, step, index)
        height, width, channels = self._sizes[picture]
        data = self._data
        places = tuple(
            (rng.randrange(height - data.crop + 1), rng.randrange(width - data.crop + 1))
            for _ in range(data.crop_candidates)
        )
        flip, quarters = rng.randrange(2) == 1, rng.randrange(4)
        order = rng.sample(range(channels), channels)
        return Draw(
            picture=picture,
            places=places,
            flip=flip and data.flip,
            quarters=quarters if data.rotate else 0,
            channels=tuple(order if data.shuffle_channels else range(channels)),
            seed=seed,
        )

    def _by_area(self, rng: random.Random, step: int, index: int) -> int:
        return bisect.bisect_right(self._ends, rng.randrange(self._ends[-1]))
