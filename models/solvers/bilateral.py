"""Bilateral filtering: a Gaussian blur that does not cross edges.

Tomasi and Manduchi 1998, "Bilateral filtering for gray and color images", section 2: weights fall with
the distance in space and with the Euclidean distance of the colours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.boundary import pad_mirrored
from models.solvers.solver import Solver, noise_level_of, number, whole


@dataclass(frozen=True, kw_only=True)
class Bilateral(Solver):
    """Weighted mean of a window; the weights are shared by all channels, so that colours stay together."""

    name: ClassVar[str] = "bilateral"

    sigma_space: float = number(1.8, 0.1, 20.0)
    """Standard deviation of the weights over distance, in pixels."""
    sigma_range: float | None = number(None, 1e-4, 100.0)
    """Standard deviation of the weights over colour distance; nothing means twice the noise level."""
    radius: int = whole(5, 1, 30)
    """Half the window's side, in pixels."""

    def card(self, name: str) -> Card:
        """Exact under tiling where the noise level is given or not needed."""
        return Card(
            name=name,
            summary="Bilateral filter: smooths within edges.",
            task="denoising",
            halo=self.radius,
            tile_exact=True,
            needs=("noise_level",) if self.sigma_range is None else (),
            source="Tomasi and Manduchi 1998, Bilateral filtering for gray and color images",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW; the noise level comes from the condition unless ``sigma_range`` is given."""
        channels, height, width = degraded_BCHW.shape[1:]
        spread_B111 = self._range(degraded_BCHW, condition)
        falloff_B111 = 1.0 / (2.0 * channels * spread_B111.square())
        padded_BCHW = pad_mirrored(degraded_BCHW, self.radius)
        total_BCHW = torch.zeros_like(degraded_BCHW)
        weights_B1HW = torch.zeros_like(degraded_BCHW[:, :1])
        for down in range(2 * self.radius + 1):
            for right in range(2 * self.radius + 1):
                neighbour_BCHW = padded_BCHW[..., down : down + height, right : right + width]
                distance_B1HW = (neighbour_BCHW - degraded_BCHW).square().sum(dim=1, keepdim=True)
                weight_B1HW = self._nearness(down, right) * torch.exp(-distance_B1HW * falloff_B111)
                total_BCHW += weight_B1HW * neighbour_BCHW
                weights_B1HW += weight_B1HW
        return total_BCHW / weights_B1HW

    def _nearness(self, down: int, right: int) -> float:
        squared = (down - self.radius) ** 2 + (right - self.radius) ** 2
        return math.exp(-squared / (2.0 * self.sigma_space**2))

    def _range(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        if self.sigma_range is not None:
            return degraded_BCHW.new_full((degraded_BCHW.shape[0], 1, 1, 1), self.sigma_range)
        return (2.0 * noise_level_of(condition, degraded_BCHW)).clamp(min=1e-4)
