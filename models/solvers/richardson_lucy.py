"""Richardson-Lucy deconvolution: maximum likelihood under Poisson noise, optionally with total variation.

Richardson 1972; Lucy 1974; with total variation Dey et al. 2006, "Richardson-Lucy algorithm with total
variation regularization for 3D confocal microscope deconvolution", equation 10. An image stops where what it
leaves unexplained is as large as the noise (Morozov 1966): later iterations would explain the noise.
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
from models.solvers.solver import Solver, noise_level_of, number, whole

_LEAST = 1e-3
"""Smallest expected value that is divided by: a quarter of an 8-bit step."""


@dataclass(frozen=True, kw_only=True)
class RichardsonLucy(Solver):
    """``x <- x A'(y / A x) / (A'1 - weight div(gradient x / |gradient x|))``, for values >= 0."""

    name: ClassVar[str] = "richardson_lucy"
    version: ClassVar[int] = 2

    iterations: int = whole(50, 1, 10_000)
    """The most; more sharpen further, and amplify the noise."""
    stop: float = number(1.0, 0.0, 10.0)
    """Residual, in units of the noise level, at which an image stops; 0 never does."""
    total_variation: float = number(0.0, 0.0, 0.5)
    """Weight of the total variation; 0 is the plain algorithm, 0.002 the paper's."""

    def card(self, name: str) -> Card:
        """Takes the scale of the degradation; every iteration reaches two kernels farther."""
        with_tv = " with total variation" if self.total_variation else ""
        return Card(
            name=name,
            summary=f"Richardson-Lucy deconvolution{with_tv}, at most {self.iterations} iterations.",
            task="deblurring",
            scale=None,
            halo=None,
            tile_exact=False,
            needs=("operators", "noise_level") if self.stop > 0 else ("operators",),
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
        enough_B111 = self._enough(degraded_BCHW, condition)
        for _ in range(self.iterations):
            expected_BCHW = forward(image_BCHW)
            active_B111 = _mean_square(expected_BCHW - degraded_BCHW) > enough_B111
            if not bool(active_B111.any()):
                break
            ratio_BCHW = observed_BCHW / expected_BCHW.clamp(min=_LEAST)
            # Kernels with negative lobes (bicubic) leave the theory; what turns negative must stop at 0.
            back_BCHW = forward.adjoint(ratio_BCHW).clamp(min=0)
            better_BCHW = image_BCHW * back_BCHW / self._denominator(image_BCHW, sensitivity_BCHW)
            image_BCHW = torch.where(active_B111, better_BCHW, image_BCHW)
        return image_BCHW

    def _enough(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """B111: the mean squared residual at which an image stops; a residual is never below -1."""
        if self.stop == 0:
            return degraded_BCHW.new_full((len(degraded_BCHW), 1, 1, 1), -1.0)
        return (self.stop * noise_level_of(condition, degraded_BCHW)).square()

    def _denominator(self, image_BCHW: Tensor, sensitivity_BCHW: Tensor) -> Tensor:
        if self.total_variation == 0:
            return sensitivity_BCHW.clamp(min=_LEAST)
        slope_2BCHW = gradient(image_BCHW)
        # Away from edges the direction of a slope is noise: 1e-3 is a quarter of an 8-bit step.
        direction_2BCHW = slope_2BCHW / magnitude(slope_2BCHW).clamp(min=1e-3)
        curvature_BCHW = divergence(direction_2BCHW)
        return (sensitivity_BCHW - self.total_variation * curvature_BCHW).clamp(min=_LEAST)


def _mean_square(image_BCHW: Tensor) -> Tensor:
    return image_BCHW.square().mean(dim=(1, 2, 3), keepdim=True)
