"""Richardson-Lucy deconvolution: maximum likelihood under Poisson noise, optionally with total variation.

Richardson 1972; Lucy 1974; with total variation Dey et al. 2006, "Richardson-Lucy algorithm with total
variation regularization for 3D confocal microscope deconvolution", equation 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.forward import Forward
from models.solvers.gradient import divergence, gradient, magnitude
from models.solvers.solver import Solver, number, whole

_LEAST = 1e-3
"""Smallest expected value that is divided by: a quarter of an 8-bit step."""


@dataclass(frozen=True, kw_only=True)
class RichardsonLucy(Solver):
    """``x <- x A'(y / A x) / (A'1 - weight div(gradient x / |gradient x|))``, for values >= 0."""

    name: ClassVar[str] = "richardson_lucy"

    iterations: int = whole(20, 1, 10_000)
    """More sharpen further, and amplify the noise."""
    total_variation: float = number(0.0, 0.0, 0.5)
    """Weight of the total variation; 0 is the plain algorithm, 0.002 the paper's."""

    def card(self, name: str) -> Card:
        """Takes the scale of the degradation; every iteration reaches two kernels farther."""
        with_tv = " with total variation" if self.total_variation else ""
        return Card(
            name=name,
            summary=f"Richardson-Lucy deconvolution{with_tv}, {self.iterations} iterations.",
            task="deblurring",
            scale=None,
            halo=None,
            tile_exact=False,
            needs=("operators",),
            source="Richardson 1972; Lucy 1974; Dey et al. 2006",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the condition's scale times H and W, nowhere negative."""
        forward = Forward(condition, degraded_BCHW)
        observed_BCHW = degraded_BCHW.clamp(min=0)  # counts are never negative, noise may be
        sensitivity_BCHW = forward.adjoint(torch.ones_like(degraded_BCHW))
        height, width = forward.size
        mean_BC11 = observed_BCHW.mean(dim=(-2, -1), keepdim=True)
        image_BCHW = mean_BC11.expand(-1, -1, height, width)
        for _ in range(self.iterations):
            ratio_BCHW = observed_BCHW / forward(image_BCHW).clamp(min=_LEAST)
            # Kernels with negative lobes (bicubic) leave the theory; what turns negative must stop at 0.
            back_BCHW = forward.adjoint(ratio_BCHW).clamp(min=0)
            image_BCHW = image_BCHW * back_BCHW / self._denominator(image_BCHW, sensitivity_BCHW)
        return image_BCHW

    def _denominator(self, image_BCHW: Tensor, sensitivity_BCHW: Tensor) -> Tensor:
        if self.total_variation == 0:
            return sensitivity_BCHW.clamp(min=_LEAST)
        slope_2BCHW = gradient(image_BCHW)
        # Away from edges the direction of a slope is noise: 1e-3 is a quarter of an 8-bit step.
        direction_2BCHW = slope_2BCHW / magnitude(slope_2BCHW).clamp(min=1e-3)
        curvature_BCHW = divergence(direction_2BCHW)
        return (sensitivity_BCHW - self.total_variation * curvature_BCHW).clamp(min=_LEAST)
