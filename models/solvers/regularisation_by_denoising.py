"""Regularisation by denoising (RED): any denoiser's residual as the gradient of a prior.

Romano, Elad and Milanfar 2017, "The little engine that could: regularization by denoising", section
4.2, fixed-point strategy: ``(A'A + w) x_next = A'y + w D(x)`` with ``w = lambda sigma^2``.
Unlike plug-and-play the denoiser's level stays, and the iteration has a fixed point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.contract import Condition
from models.solvers.denoiser_prior import DenoiserPrior, data_step, start
from models.solvers.solver import noise_level_of, number, whole


@dataclass(frozen=True, kw_only=True)
class RegularisationByDenoising(DenoiserPrior):
    """Every step pulls the image towards its own denoised form and back to the data."""

    name: ClassVar[str] = "regularisation_by_denoising"
    summary: ClassVar[str] = "Regularisation by denoising with {}."
    source: ClassVar[str] = "Romano, Elad and Milanfar 2017, The little engine that could"

    iterations: int = whole(30, 1, 10_000)
    """Fixed-point steps."""
    noise: float = number(3.25 / 255, 1e-4, 1.0)
    """The level the denoiser is told, fraction of the value range (the paper's sigma_f)."""
    strength: float = number(0.02, 1e-5, 100.0)
    """Weight of the prior, the paper's lambda, for values up to 255."""

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the condition's scale times H and W; the last step is the data's."""
        forward, image_BCHW = start(degraded_BCHW, condition)
        back_BCHW = forward.adjoint(degraded_BCHW)
        level_B111 = degraded_BCHW.new_full((len(degraded_BCHW), 1, 1, 1), self.noise)
        weight_B111 = self.strength * (255.0 * noise_level_of(condition, degraded_BCHW)).square().clamp(
            min=1.0
        )
        for _ in range(self.iterations):
            denoised_BCHW = self.denoised(image_BCHW, level_B111)
            image_BCHW = data_step(forward, back_BCHW, denoised_BCHW, weight_B111)
        return image_BCHW
