"""Non-local means: every pixel becomes the mean of pixels whose surroundings look alike.

Buades, Coll and Morel 2005; uniform patches as in Darbon et al. 2008; twice the noise variance is taken
from the distances (Buades 2011, IPOL). Close to scikit-image's fast form, which sums patches over one
row and column less than it divides by, and approximates the exponential.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.boundary import pad_mirrored
from models.solvers.solver import Solver, noise_level_of, number, whole

_NO_WEIGHT = 5.0
"""Distances beyond this weigh nothing: exp(-5) times hundreds of neighbours would blur what is unique."""


@dataclass(frozen=True, kw_only=True)
class NonLocalMeans(Solver):
    """Weighted mean over a window of ``(2 reach + 1)^2`` pixels; weights are shared by all channels."""

    name: ClassVar[str] = "non_local_means"

    patch: int = whole(2, 1, 10)
    """Half the side of the patches that are compared, in pixels."""
    reach: int = whole(8, 1, 40)
    """How far away a pixel may be to count, in pixels."""
    strength: float = number(0.7, 0.01, 20.0)
    """Width of the weights in units of the noise level; less keeps more texture and more noise."""

    def card(self, name: str) -> Card:
        """Exact under tiling: reach and patch together are the halo."""
        return Card(
            name=name,
            summary="Non-local means with uniform patches.",
            task="denoising",
            halo=self.patch + self.reach,
            needs=("noise_level",),
            source="Buades, Coll and Morel 2005, A non-local algorithm for image denoising",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW; the noise level comes from the condition."""
        # A level of zero would divide by zero; 1e-5 is below any 16-bit step.
        level_B111 = noise_level_of(condition, degraded_BCHW).clamp(min=1e-5)
        return self._mean(degraded_BCHW, level_B111)

    def _mean(self, degraded_BCHW: Tensor, level_B111: Tensor) -> Tensor:
        height, width = degraded_BCHW.shape[-2:]
        # Patches of all neighbours must exist: reach for the neighbour, patch for its surroundings.
        padded_BCHW = pad_mirrored(degraded_BCHW, self.reach + self.patch)
        centre_BCHW = _window(
            padded_BCHW, self.reach, self.reach, height + 2 * self.patch, width + 2 * self.patch
        )
        total_BCHW = torch.zeros_like(degraded_BCHW)
        weights_B1HW = torch.zeros_like(degraded_BCHW[:, :1])
        for down in range(2 * self.reach + 1):
            for right in range(2 * self.reach + 1):
                shifted_BCHW = _window(padded_BCHW, down, right, *centre_BCHW.shape[-2:])
                weight_B1HW = self._weight(centre_BCHW, shifted_BCHW, level_B111)
                total_BCHW += weight_B1HW * _window(shifted_BCHW, self.patch, self.patch, height, width)
                weights_B1HW += weight_B1HW
        return total_BCHW / weights_B1HW

    def _weight(self, first_BCHW: Tensor, second_BCHW: Tensor, level_B111: Tensor) -> Tensor:
        """B1HW: how alike the patches are, 1 where they differ by no more than the noise."""
        squared_B1HW = (first_BCHW - second_BCHW).square().mean(dim=1, keepdim=True) - 2 * level_B111.square()
        distance_B1HW = F.avg_pool2d(squared_B1HW, 2 * self.patch + 1, stride=1)
        distance_B1HW = distance_B1HW.clamp(min=0) / (self.strength * level_B111).square()
        return torch.where(distance_B1HW > _NO_WEIGHT, 0.0, torch.exp(-distance_B1HW))


def _window(image_BCHW: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    return image_BCHW[..., top : top + height, left : left + width]
