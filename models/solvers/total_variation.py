"""Total-variation denoising by Chambolle's dual projection.

Chambolle 2004, "An algorithm for total variation minimization and applications", section 3; the
semi-implicit step and the stopping rule are those that scikit-image uses, so that results agree.

Shapes: B batch, C channels, H and W height and width. Channels are denoised on their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.gradient import divergence, gradient, magnitude
from models.solvers.solver import Solver, noise_level_of, number, whole

_STEP = 0.25
"""Largest step for which the iteration is known to converge in two dimensions (Chambolle 2004, 3.1)."""
WEIGHT_PER_NOISE = 0.9
"""Best weight in units of the noise level: measured at sigma 10 to 50 on scikit-image's photographs."""


@dataclass(frozen=True, kw_only=True)
class TotalVariation(Solver):
    """``min_u |u - f|^2 / 2 + weight TV(u)`` with isotropic total variation, per channel."""

    name: ClassVar[str] = "total_variation"

    weight: float | None = number(None, 1e-6, 1e3)
    """How much smoothing; nothing takes it from the noise level."""
    tolerance: float = number(2e-4, 0.0, 1.0)
    """Stops when the energy changes by less than this part of its first value."""
    iterations: int = whole(200, 1, 100_000)
    """The most iterations."""

    def card(self, name: str) -> Card:
        """Not exact under tiling: the dual field travels one pixel an iteration."""
        return Card(
            name=name,
            summary="Total-variation denoising by Chambolle's dual projection.",
            task="denoising",
            halo=None,
            tile_exact=False,
            needs=("noise_level",) if self.weight is None else (),
            source="Chambolle 2004, An algorithm for total variation minimization and applications",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        batch, channels, height, width = degraded_BCHW.shape
        if self.weight is None:
            # A level of zero asks for no smoothing at all, which the dual cannot divide by.
            weight_B111 = (WEIGHT_PER_NOISE * noise_level_of(condition, degraded_BCHW)).clamp(min=1e-6)
        else:
            weight_B111 = degraded_BCHW.new_full((batch, 1, 1, 1), self.weight)
        denoised = denoise_total_variation(
            degraded_BCHW.reshape(batch * channels, 1, height, width),
            weight_B111.repeat_interleave(channels, dim=0),
            tolerance=self.tolerance,
            iterations=self.iterations,
        )
        return denoised.reshape(batch, channels, height, width)


def denoise_total_variation(
    image_B1HW: Tensor, weight_B111: Tensor, *, tolerance: float, iterations: int
) -> Tensor:
    """The dual projection on single-channel images, each with its own weight and its own end."""
    dual_2BCHW = torch.zeros((2, *image_B1HW.shape), dtype=image_B1HW.dtype, device=image_B1HW.device)
    denoised_B1HW, running_B111 = image_B1HW, torch.ones_like(weight_B111, dtype=torch.bool)
    first_B111 = previous_B111 = torch.zeros_like(weight_B111)
    for iteration in range(iterations):
        change_B1HW = divergence(dual_2BCHW)
        denoised_B1HW = torch.where(running_B111, image_B1HW + change_B1HW, denoised_B1HW)
        slope_2BCHW = gradient(denoised_B1HW)
        steepness_B1HW = magnitude(slope_2BCHW)
        if tolerance > 0:
            energy_B111 = (change_B1HW**2 + weight_B111 * steepness_B1HW).mean(dim=(1, 2, 3), keepdim=True)
            if iteration == 0:
                first_B111 = energy_B111
            else:
                running_B111 &= (previous_B111 - energy_B111).abs() >= tolerance * first_B111
            previous_B111 = energy_B111
            if not bool(running_B111.any()):
                break
        dual_2BCHW = (dual_2BCHW + _STEP * slope_2BCHW) / (1 + _STEP / weight_B111 * steepness_B1HW)
    return denoised_B1HW
