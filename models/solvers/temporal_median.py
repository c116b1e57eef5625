"""The median over the frames of a scene: removes noise, and what only a few frames show, such as clouds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.solver import Solver
from models.stacks.alignment import aligned


@dataclass(frozen=True, kw_only=True)
class TemporalMedian(Solver):
    """Frames are registered and laid on the image; every pixel becomes the median of those that saw it."""

    name: ClassVar[str] = "temporal_median"

    def card(self, name: str) -> Card:
        """Needs the whole image, to know how frames lie."""
        return Card(
            name=name,
            summary="Median over registered frames of a scene, against noise and what passes.",
            task="denoising",
            halo=None,
            tile_exact=False,
            needs=("frames",),
            source="Huang et al. 1979 for the median; phase correlation: Kuglin and Hines 1975",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        stack, seen = aligned(degraded_BCHW, condition)
        # The mean of the two in the middle of an even number: nanquantile knows.
        hidden = stack.masked_fill(~seen[:, :, None], torch.nan)
        return torch.nanquantile(hidden.double(), 0.5, dim=1).to(degraded_BCHW.dtype)
