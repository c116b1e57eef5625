"""Means, rates and waits of the steps between two rows of a run's table."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline.training.world import World


class StepMeter:
    """``meter.add(losses)`` after every step; ``meter.read()`` now and then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reset()

    def add(self, losses: Mapping[str, Tensor], waited: float) -> None:
        """Scalars of one step, on the device; seconds that it waited for its input."""
        for name, value in losses.items():
            value = value.detach().double()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1
        self._steps += 1
        self._waited += waited

    def pause(self, seconds: float) -> None:
        """Leaves time out that was not spent on steps."""
        self._started += seconds

    def read(self) -> dict[str, float]:
        """Means over the steps since the last reading and over the workers; starts again at zero.

        Beside the losses: ``steps``, ``steps_per_second`` and ``input_wait_share``.
        """
        names = sorted(self._sums)
        means: dict[str, float] = {}
        if names:
            # One transfer for all, and one reduction: a wait for each would stop the device each time.
            values_N = torch.stack([self._sums[name] / self._counts[name] for name in names])
            means = dict(zip(names, self._world.mean(values_N).tolist(), strict=True))
        seconds = max(time.perf_counter() - self._started, 1e-9)
        means["steps"] = self._steps
        means["steps_per_second"] = self._steps / seconds
        means["input_wait_share"] = self._waited / seconds
        self._reset()
        return means

    def _reset(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._steps = 0
        self._started = time.perf_counter()
        self._waited = 0.0
