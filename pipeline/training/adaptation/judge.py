"""Whether an adaptation helped, by Stein's estimate of the error on tiles that were not learnt from.

Shapes: B batch, C channels, H and W height and width, N tiles.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn

from models.card import Card
from models.contract import Condition
from pipeline.hashing import seed_of
from pipeline.training.adaptation.archive_noise import ArchiveNoise
from pipeline.training.adaptation.losses import Restore, sure_parts
from pipeline.training.adaptation.tiles import Tile

Parts = tuple[Tensor, Tensor]
"""N each: the two parts of Stein's estimate, as ``sure_parts`` gives them."""

_DOUBTS = (0.9, 1.0, 1.1)
"""Factors of the noise's variance: a gain must be one by all: the noise is measured, not known."""
_ERRORS = 1.0
"""Standard errors by which a gain must differ from none, beside the doubts."""


def restore_with(network: nn.Module, card: Card, level_B: Tensor) -> Restore:
    """The network's call in [0, 1], with gradients."""
    low, high = card.value_range

    def restore(noisy_BCHW: Tensor) -> Tensor:
        in_range = (noisy_BCHW * (high - low) + low).contiguous(memory_format=torch.channels_last)
        restored: Tensor = network(in_range, Condition(noise_level_B=level_B))
        return (restored - low) / (high - low)

    return restore


class Judge:
    """``judge()``: SURE of every held-out tile, by its two parts, with the same probes every time."""

    def __init__(
        self,
        network: nn.Module,
        card: Card,
        held: list[Tile],
        noise: ArchiveNoise,
        seed: int,
    ) -> None:
        self._network, self._card, self._held, self._noise, self._seed = network, card, held, noise, seed
        self._variance = float(torch.cat([noise.variance(tile).mean()[None] for tile, _ in held]).mean())

    @torch.no_grad()
    def __call__(self) -> Parts:
        """N each: what is taken away, and what passes."""
        rng = Generator().manual_seed(seed_of(str(self._seed), "probes"))
        found = [
            sure_parts(restore_with(self._network, self._card, level_1), tile, self._noise, rng)
            for tile, level_1 in self._held
        ]
        return torch.cat([taken for taken, _ in found]), torch.cat([passed for _, passed in found])

    def error(self, parts: Parts) -> float:
        """Mean square error, estimated."""
        value = float((parts[0] + parts[1]).mean()) - self._variance
        return value if math.isfinite(value) else math.inf

    def gain_db(self, before: Parts, after: Parts) -> float:
        """Of PSNR, estimated."""
        first, second = (max(self.error(each), 1e-9) for each in (before, after))
        return 10 * math.log10(first / second)

    def is_better(self, before: Parts, after: Parts) -> bool:
        """Whether the gain is more than chance, with a little more or less noise too."""
        taken_N, passed_N = after[0] - before[0], after[1] - before[1]
        for doubt in _DOUBTS:
            change_N = taken_N + doubt * passed_N
            if float(change_N.mean() + _ERRORS * change_N.std() / len(change_N) ** 0.5) >= 0:
                return False
        return True
