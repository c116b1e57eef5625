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

from models.card import Card
from models.operators.resample import imresize
from models.restorer import Condition, Restorer
from models.solvers.conjugate_gradient import conjugate_gradient
from models.solvers.forward import Forward
from models.solvers.solver import Solver, noise_level_of, number, whole

_LEAST_NOISE = 1.0 / 255
"""The schedule's end for images that claim less noise: the data step must stay solvable."""


@dataclass(frozen=True, kw_only=True)
class PlugAndPlay(Solver):
    """Alternates a data step, ``(A'A + rho) x = A'y + rho z``, with a denoising step ``z = D(x)``."""

    name: ClassVar[str] = "plug_and_play"

    denoiser: Restorer
    """Any restorer of the catalog that takes a noise level, by its name in a job."""
    iterations: int = whole(8, 1, 1000)
    """Pairs of steps."""
    first_noise: float = number(49.0 / 255, 1e-3, 1.0)
    """The denoiser's first noise level, fraction of the value range."""
    strength: float = number(0.23, 1e-3, 100.0)
    """Weight of the prior, the paper's lambda."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_denoiser(self.name, self.denoiser)

    def card(self, name: str) -> Card:
        """Takes the scale of the degradation and the denoiser's channels; every pixel can matter."""
        return Card(
            name=name,
            summary=f"Plug-and-play (half-quadratic splitting) with {self.denoiser.card.name} as prior.",
            task="general",
            scale=None,
            channels=self.denoiser.card.channels,
            halo=None,
            tile_exact=False,
            needs=("operators", "noise_level"),
            licence=self.denoiser.card.licence,
            source="Zhang et al. 2021, Plug-and-Play Image Restoration with Deep Denoiser Prior",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the condition's scale times H and W; the last step is a denoising."""
        forward = Forward(condition, degraded_BCHW)
        level_B111 = noise_level_of(condition, degraded_BCHW).clamp(min=_LEAST_NOISE)
        image_BCHW = imresize(degraded_BCHW, *forward.size) if condition.scale > 1 else degraded_BCHW
        back_BCHW = forward.adjoint(degraded_BCHW)
        for step in range(self.iterations):
            denoised_B111 = self._schedule(step, level_B111)
            rho_B111 = self.strength * (level_B111 / denoised_B111).square()
            image_BCHW = data_step(forward, back_BCHW, image_BCHW, rho_B111)
            known = Condition(noise_level_B=denoised_B111.flatten())
            image_BCHW = self.denoiser(image_BCHW, condition=known)
        return image_BCHW

    def _schedule(self, step: int, last_B111: Tensor) -> Tensor:
        first_B111 = torch.full_like(last_B111, self.first_noise).maximum(last_B111)
        part = step / max(self.iterations - 1, 1)
        return torch.lerp(first_B111.log(), last_B111.log(), part).exp()


def data_step(forward: Forward, back_BCHW: Tensor, prior_BCHW: Tensor, rho_B111: Tensor) -> Tensor:
    """``argmin_x |A x - y|^2 + rho |x - prior|^2``, where ``back`` is ``A'y``."""
    return conjugate_gradient(
        lambda image_BCHW: forward.adjoint(forward(image_BCHW)) + rho_B111 * image_BCHW,
        back_BCHW + rho_B111 * prior_BCHW,
        prior_BCHW,
        iterations=50,
        tolerance=1e-4,
    )


def require_denoiser(solver: str, denoiser: object) -> None:
    """Raises ``ValueError`` unless this is a restorer that a prior can be made of."""
    if (
        not isinstance(denoiser, Restorer)
        or "noise_level" not in denoiser.card.needs
        or denoiser.card.scale != 1
    ):
        name = denoiser.card.name if isinstance(denoiser, Restorer) else denoiser
        raise ValueError(f"{solver}: denoiser must be a restorer that takes a noise level, got {name!r}")
