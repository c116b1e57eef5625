"""Inpainting with the least total variation, by the primal-dual method.

Chan and Shen 2001, "Mathematical models for local nontexture inpaintings"; solved as in Chambolle and
Pock 2011, algorithm 1. Unlike the biharmonic surface it continues straight edges into small holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.biharmonic import known_pixels
from models.solvers.gradient import divergence, gradient, project_to_ball
from models.solvers.solver import Solver, whole

_STEP = 8.0**-0.5
"""Both steps: their product times the squared norm of the gradient, at most 8, must not exceed 1."""


@dataclass(frozen=True, kw_only=True)
class TotalVariationInpainting(Solver):
    """``min TV(x)`` with the known pixels as they are."""

    name: ClassVar[str] = "total_variation_inpainting"

    iterations: int = whole(500, 1, 100_000)
    """Steps of the primal-dual method; a hole of n pixels across needs some 10 n."""

    def card(self, name: str) -> Card:
        """Every pixel around a hole can matter."""
        return Card(
            name=name,
            summary="Fills holes with the least total variation, known pixels untouched.",
            task="inpainting",
            halo=None,
            tile_exact=False,
            needs=("mask",),
            source="Chan and Shen 2001; Chambolle and Pock 2011",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW, known pixels as they came."""
        known_B1HW = known_pixels(condition, degraded_BCHW)
        image_BCHW = leading_BCHW = _mean_filled(degraded_BCHW, known_B1HW)
        slope_2BCHW = torch.zeros_like(gradient(image_BCHW))
        for _ in range(self.iterations):
            slope_2BCHW = project_to_ball(slope_2BCHW + _STEP * gradient(leading_BCHW), 1.0)
            previous_BCHW = image_BCHW
            stepped_BCHW = image_BCHW + _STEP * divergence(slope_2BCHW)
            image_BCHW = torch.where(known_B1HW, degraded_BCHW, stepped_BCHW)
            leading_BCHW = 2 * image_BCHW - previous_BCHW
        return image_BCHW


def _mean_filled(degraded_BCHW: Tensor, known_B1HW: Tensor) -> Tensor:
    total_BC11 = (degraded_BCHW * known_B1HW).sum(dim=(-2, -1), keepdim=True)
    mean_BC11 = total_BC11 / known_B1HW.sum(dim=(-2, -1), keepdim=True)
    return torch.where(known_B1HW, degraded_BCHW, mean_BC11)
