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
from models.solvers.solver import Solver, number, whole
from models.stacks.adding import added
from models.stacks.alignment import usable_frames
from models.stacks.sampling import Sampling


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
        sampling = Sampling(shift_T2[None], self.scale, self.width, (height, width))
        known_BT = torch.ones_like(shift_T2[None, :, 0])
        estimate_BCHW, _ = added(samples_TCHW[None].double(), known_BT, sampling, self.scale)
        return estimate_BCHW[0].to(samples_TCHW.dtype)
