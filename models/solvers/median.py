"""The median of a square window: removes impulses (salt and pepper) and keeps straight edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.boundary import pad_mirrored
from models.solvers.solver import Solver, whole

_MOST_VALUES = 2**24
"""Window values held at once: all windows of a large image would not fit any memory."""


@dataclass(frozen=True, kw_only=True)
class Median(Solver):
    """Every pixel becomes the median of its ``(2 radius + 1)^2`` neighbours, per channel."""

    name: ClassVar[str] = "median"

    radius: int = whole(1, 1, 10)
    """Half the window's side, in pixels."""

    def card(self, name: str) -> Card:
        """Exact under tiling with the radius as halo."""
        return Card(
            name=name,
            summary=f"Median of {2 * self.radius + 1} x {2 * self.radius + 1} pixels, against impulse noise.",
            task="denoising",
            halo=self.radius,
            source="Tukey 1977, Exploratory data analysis",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        height = degraded_BCHW.shape[-2]
        padded_BCHW = pad_mirrored(degraded_BCHW, self.radius)
        row_values = degraded_BCHW[..., 0, :].numel() * (2 * self.radius + 1) ** 2
        rows = max(_MOST_VALUES // row_values, 1)
        strips = [self._strip(padded_BCHW, top, min(rows, height - top)) for top in range(0, height, rows)]
        return torch.cat(strips, dim=-2)

    def _strip(self, padded_BCHW: Tensor, top: int, rows: int) -> Tensor:
        side = 2 * self.radius + 1
        strip_BCHW = padded_BCHW[..., top : top + rows + side - 1, :]
        windows_BCHWKK = strip_BCHW.unfold(-2, side, 1).unfold(-2, side, 1)
        return windows_BCHWKK.flatten(-2).median(dim=-1).values
