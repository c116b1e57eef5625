"""How much of the noise a denoiser leaves at each pixel: what a random perturbation does to it there.

For the best denoiser there is, noise level squared times the derivative of a restored pixel by its own input
is that pixel's error variance (Efron 2011; Manor and Michaeli 2024, "On the posterior distribution in
denoising"). The derivatives come from one random perturbation, as in Ramani, Blu and Unser 2008, and are
averaged around.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.contract import Condition
from models.noise_level import estimate_noise_level
from models.restorer import Restorer
from models.risk import STEP
from models.uncertainties.base import Restore, smoothed

_SIDE = 9


@dataclass(frozen=True)
class PosteriorSpread:
    """Noise level times the root of the derivative, over 9 x 9 pixels; for denoisers."""

    name: ClassVar[str] = "posterior"
    version: ClassVar[int] = 1
    calls: ClassVar[int] = 1

    def subject(self, restorer: Restorer) -> Restorer:
        """Restorers of the input's size."""
        if restorer.card.scale != 1:
            raise ValueError(
                f'uncertainty: "{self.name}" is for denoisers, and {restorer.card.name} enlarges; use '
                '"self_ensemble"'
            )
        return restorer

    def __call__(
        self, restore: Restore, degraded_BCHW: Tensor, condition: Condition, restored_BCHW: Tensor
    ) -> Tensor:
        """As ``Uncertainty``. One call."""
        level_B = condition.noise_level_B
        if level_B is None:
            level_B = estimate_noise_level(degraded_BCHW)
            # As the restorer finds it, so that the two calls differ by the perturbation alone.
            condition = replace(condition, noise_level_B=level_B)
        level_B111 = level_B.to(degraded_BCHW)[:, None, None, None]
        rng = Generator().manual_seed(0)
        signs = torch.randint(0, 2, degraded_BCHW.shape[1:], generator=rng).to(degraded_BCHW) * 2 - 1
        length_B111 = STEP * level_B111.clamp_min(1e-4)
        moved_BCHW = restore(degraded_BCHW + length_B111 * signs, condition)
        slope_BCHW = signs * (moved_BCHW - restored_BCHW) / length_B111
        return smoothed(level_B111.square() * slope_BCHW, _SIDE)
