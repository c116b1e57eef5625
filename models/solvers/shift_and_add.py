"""Robust shift-and-add: the samples of all frames put where they belong on a finer grid.

Farsiu et al., "Fast and Robust Multiframe Super Resolution", IEEE TIP 2004, section III, with means that
leave outliers out in place of the median (Tukey's weights), on samples spread over their neighbours.

Shapes: B batch, T frames, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.operators.resample import imresize
from models.solvers.solver import Solver, number, whole
from models.stacks.alignment import usable_frames

ROUNDS = 2
"""Of leaving out what does not fit."""
TUKEY = 4.685
"""Widths of the noise at which a sample no longer counts."""
PRIOR = 0.05
"""Weight of the enlarged image itself: where no sample fell, it is all there is."""


@dataclass(frozen=True, kw_only=True)
class ShiftAndAdd(Solver):
    """Registers the frames, spreads their samples by a Gaussian over the grid, leaves outliers out."""

    name: ClassVar[str] = "shift_and_add"

    scale: int = whole(1, 1, 8)
    """How many times larger the image becomes."""
    width: float = number(0.55, 0.2, 4)
    """Standard deviation of a sample's weight, in pixels of the larger image."""

    def card(self, name: str) -> Card:
        """Needs the whole image, to know how frames lie."""
        return Card(
            name=name,
            summary=f"Registered frames of a scene added on a grid x{self.scale}, outliers left out.",
            task="super-resolution" if self.scale > 1 else "denoising",
            scale=self.scale,
            halo=None,
            tile_exact=False,
            needs=("frames",),
            source="Farsiu et al. 2004, section III",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and ``scale`` times H and W."""
        return torch.stack([self.added(*each) for each in usable_frames(degraded_BCHW, condition)])

    def added(self, samples_TCHW: Tensor, shift_T2: Tensor) -> Tensor:
        """CHW: frames of one scene, the first of which lies where the result does."""
        height, width = samples_TCHW.shape[-2:]
        size = (self.scale * height, self.scale * width)
        plain_CHW = imresize(samples_TCHW[:1], *size)[0].double()
        spread = [_Spread(each, self.scale, self.width, height, width) for each in shift_T2]
        estimate_CHW, noise = plain_CHW, None
        for each in range(ROUNDS + 1):
            total_CHW, weight_CHW = PRIOR * plain_CHW, torch.full_like(plain_CHW, PRIOR)
            for sample_CHW, laid in zip(samples_TCHW.double(), spread, strict=True):
                kept_CHW = torch.ones_like(sample_CHW)
                if each:
                    missed_CHW = sample_CHW - laid.seen(estimate_CHW)
                    noise = 1.4826 * missed_CHW.abs().median() if noise is None else noise
                    kept_CHW = (1 - (missed_CHW / (TUKEY * noise.clamp_min(1e-4))) ** 2).clamp_min(0) ** 2
                total_CHW = total_CHW + laid.spread(kept_CHW * sample_CHW)
                weight_CHW = weight_CHW + laid.spread(kept_CHW)
            estimate_CHW = total_CHW / weight_CHW
        return estimate_CHW.to(samples_TCHW.dtype)


class _Spread:
    """One frame's samples on the finer grid: a small matrix for each axis, as Gaussians are separable."""

    def __init__(self, shift_2: Tensor, scale: int, width: float, height: int, columns: int) -> None:
        self._rows = _weights(float(shift_2[0]), scale, width, height)
        self._columns = _weights(float(shift_2[1]), scale, width, columns)

    def spread(self, values_CHW: Tensor) -> Tensor:
        """From samples to the grid."""
        return self._rows.T.to(values_CHW) @ values_CHW @ self._columns.to(values_CHW)

    def seen(self, image_CHW: Tensor) -> Tensor:
        """What samples at these places would be, by the grid."""
        rows, columns = (
            each / each.sum(1, keepdim=True).clamp_min(1e-9) for each in (self._rows, self._columns)
        )
        return rows.to(image_CHW) @ image_CHW @ columns.T.to(image_CHW)


def _weights(shift: float, scale: int, width: float, count: int) -> Tensor:
    """Sample x place of the grid."""
    centres = (torch.arange(count, dtype=torch.float64) + 0.5 - shift) * scale - 0.5
    places = torch.arange(count * scale, dtype=torch.float64)
    return torch.exp(-0.5 * ((centres[:, None] - places) / width) ** 2)
