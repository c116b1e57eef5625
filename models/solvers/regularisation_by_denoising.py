"""Regularisation by denoising (RED): any denoiser's residual as the gradient of a prior.

Romano, Elad and Milanfar 2017, "The little engine that could: regularization by denoising", section
4.2, fixed-point strategy: ``(A'A + w) x_next = A'y + w D(x)`` with ``w = lambda sigma^2``.
Unlike plug-and-play the denoiser's level stays, and the iteration has a fixed point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.operators.resample import imresize
from models.restorer import Condition, Restorer
from models.solvers.forward import Forward
from models.solvers.plug_and_play import data_step, require_denoiser
from models.solvers.solver import Solver, noise_level_of, number, whole


@dataclass(frozen=True, kw_only=True)
class RegularisationByDenoising(Solver):
    """Every step pulls the image towards its own denoised form and back to the data."""

    name: ClassVar[str] = "regularisation_by_denoising"

    denoiser: Restorer
    """Any restorer of the catalog that takes a noise level, by its name in a job."""
    iterations: int = whole(30, 1, 10_000)
    """Fixed-point steps."""
    noise: float = number(3.25 / 255, 1e-4, 1.0)
    """The level the denoiser is told, fraction of the value range (the paper's sigma_f)."""
    strength: float = number(0.02, 1e-5, 100.0)
    """Weight of the prior, the paper's lambda, for values up to 255."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_denoiser(self.name, self.denoiser)

    def card(self, name: str) -> Card:
        """Takes the scale of the degradation and the denoiser's channels; every pixel can matter."""
        return Card(
            name=name,
            summary=f"Regularisation by denoising with {self.denoiser.card.name}.",
            task="general",
            scale=None,
            channels=self.denoiser.card.channels,
            halo=None,
            tile_exact=False,
            needs=("operators", "noise_level"),
            licence=self.denoiser.card.licence,
            source="Romano, Elad and Milanfar 2017, The little engine that could",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the condition's scale times H and W; the last step is the data's."""
        forward = Forward(condition, degraded_BCHW)
        image_BCHW = imresize(degraded_BCHW, *forward.size) if condition.scale > 1 else degraded_BCHW
        back_BCHW = forward.adjoint(degraded_BCHW)
        level = Condition(noise_level_B=degraded_BCHW.new_full((len(degraded_BCHW),), self.noise))
        weight_B111 = self.strength * (255.0 * noise_level_of(condition, degraded_BCHW)).square().clamp(
            min=1.0
        )
        for _ in range(self.iterations):
            denoised_BCHW = self.denoiser(image_BCHW, condition=level)
            image_BCHW = data_step(forward, back_BCHW, denoised_BCHW, weight_B111)
        return image_BCHW
