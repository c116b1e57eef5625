"""Faults of line sensors: stripes of unequal detectors, and detectors that are dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.draws import each_image
from models.operators.mask import Masking
from models.operators.noise import LEVELS
from models.parameters import Checked, choice, number, whole

DIRECTIONS = ("columns", "rows")
"""Which lines share a detector: columns for a push-broom scanner, rows for a whisk-broom scanner."""


@dataclass(frozen=True)
class Stripes(Checked):
    """Unequal detectors: ``y = (1 + gain g) x + sigma o`` with normal g and o per detector and channel."""

    name: ClassVar[str] = "stripes"

    gain: float = number(0.0, 0, 1)
    """Standard deviation of the detectors' gains, in [0, 1]."""
    sigma: float = number(5.0, 0, LEVELS)
    """Standard deviation of the detectors' offsets in 1/255 of the value range, in [0, 255]."""
    direction: str = choice(*DIRECTIONS)
    """One of ``DIRECTIONS``."""
    detectors: int = whole(0, 0, 100_000)
    """Detectors that take turns, line after line (16 in Landsat TM); 0 gives every line its own."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The striped image, not clipped."""
        return each_image(image_BCHW, lambda image_CHW: self._striped(image_CHW, rng))

    def _striped(self, image_CHW: Tensor, rng: Generator) -> Tensor:
        channels, height, width = image_CHW.shape
        lines = width if self.direction == "columns" else height
        detectors = self.detectors or lines
        draw = torch.randn(2, channels, detectors, generator=rng, device=rng.device).to(image_CHW)
        draw = draw[:, :, torch.arange(lines, device=image_CHW.device) % detectors]
        gain, offset = draw[:, :, None, :] if self.direction == "columns" else draw[:, :, :, None]
        striped_CHW: Tensor = image_CHW * (1 + self.gain * gain) + self.sigma / LEVELS * offset
        return striped_CHW


@dataclass(frozen=True)
class DeadColumns(Masking):
    """Dead detectors: each line is lost with the same chance, at least one line stays."""

    name: ClassVar[str] = "dead_columns"

    share: float = number(0.02, 0, 0.9)
    """Chance of a line to be dead, in [0, 0.9]."""
    direction: str = choice(*DIRECTIONS)
    """One of ``DIRECTIONS``."""

    def mask(self, height: int, width: int, rng: Generator) -> Tensor:
        """1HW float32 on ``rng``'s device: 1 where a pixel stays known."""
        lines = width if self.direction == "columns" else height
        chance = torch.rand(lines, generator=rng, device=rng.device)
        alive = (chance >= self.share) | (chance == chance.max())
        line = alive[None, :] if self.direction == "columns" else alive[:, None]
        return line.float().expand(height, width)[None].contiguous()
