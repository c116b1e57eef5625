"""Plug-and-play restoration: any denoiser as the prior of any linear degradation.

Zhang et al. 2021, "Plug-and-Play Image Restoration with Deep Denoiser Prior" (DPIR), algorithm 1:
half-quadratic splitting with noise levels that fall, evenly in their logarithm, from 49/255 to the
image's own. Data steps are solved by conjugate gradients, so any operator with an adjoint will do.

Shapes: B batch, C channels, H and W height and width of the wanted image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.contract import Condition
from models.solvers.denoiser_prior import DenoiserPrior, data_step, start
from models.solvers.solver import noise_level_of, number, whole

_LEAST_NOISE = 1.0 / 255
"""The schedule's end for images that claim less noise: the data step must stay solvable."""


@dataclass(frozen=True, kw_only=True)
class PlugAndPlay(DenoiserPrior):
    """Alternates a data step, ``(A'A + rho) x = A'y + rho z``, with a denoising step ``z = D(x)``."""

    name: ClassVar[str] = "plug_and_play"
    summary: ClassVar[str] = "Plug-and-play (half-quadratic splitting) with {} as prior."
    source: ClassVar[str] = "Zhang et al. 2021, Plug-and-Play Image Restoration with Deep Denoiser Prior"

    iterations: int = whole(8, 1, 1000)
    """Pairs of steps."""
    first_noise: float = number(49.0 / 255, 1e-3, 1.0)
    """The denoiser's first noise level, fraction of the value range."""
    strength: float = number(0.23, 1e-3, 100.0)
    """Weight of the prior, the paper's lambda."""

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the condition's scale times H and W; the last step is a denoising."""
        forward, image_BCHW = start(degraded_BCHW, condition)
        level_B111 = noise_level_of(condition, degraded_BCHW).clamp(min=_LEAST_NOISE)
        back_BCHW = forward.adjoint(degraded_BCHW)
        for step in range(self.iterations):
            denoised_B111 = self._schedule(step, level_B111)
            rho_B111 = self.strength * (level_B111 / denoised_B111).square()
            image_BCHW = data_step(forward, back_BCHW, image_BCHW, rho_B111)
            image_BCHW = self.denoised(image_BCHW, denoised_B111)
        return image_BCHW

    def _schedule(self, step: int, last_B111: Tensor) -> Tensor:
        first_B111 = torch.full_like(last_B111, self.first_noise).maximum(last_B111)
        part = step / max(self.iterations - 1, 1)
        return torch.lerp(first_B111.log(), last_B111.log(), part).exp()
