"""Tikhonov regularisation of any linear degradation, by conjugate gradients.

Tikhonov 1963; ``min_x |A x - y|^2 + weight |gradient x|^2``, whose normal equations are
``(A'A + weight G'G) x = A'y``. Works where Wiener filtering cannot: super-resolution, varying blur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.conjugate_gradient import conjugate_gradient
from models.solvers.forward import Forward
from models.solvers.gradient import divergence, gradient
from models.solvers.solver import Solver, noise_level_of, number, whole

_GRADIENT_VARIANCE = 0.012
"""Of one axis, in photographs: what restores blurred ones best at sigma 2 to 10 (measured)."""


@dataclass(frozen=True, kw_only=True)
class Tikhonov(Solver):
    """Least squares with a smooth result, for all operators of the condition together."""

    name: ClassVar[str] = "tikhonov"

    weight: float | None = number(None, 1e-9, 1e6)
    """Of the squared gradient; nothing means noise variance over that of photographs' gradients."""
    iterations: int = whole(100, 1, 10_000)
    """The most steps of conjugate gradients; an image stops earlier at a relative residual of 1e-5."""

    def card(self, name: str) -> Card:
        """Takes the scale of the degradation; every pixel can matter."""
        return Card(
            name=name,
            summary="Least squares with a squared-gradient penalty, for any linear degradation.",
            task="general",
            scale=None,
            halo=None,
            tile_exact=False,
            needs=("operators", "noise_level") if self.weight is None else ("operators",),
            source="Tikhonov 1963, Solution of incorrectly formulated problems; Hestenes and Stiefel 1952",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the condition's scale times H and W."""
        forward = Forward(condition, degraded_BCHW)
        if self.weight is None:
            variance_B111 = noise_level_of(condition, degraded_BCHW).square()
            weight_B111 = (variance_B111 / _GRADIENT_VARIANCE).clamp(min=1e-5)
        else:
            weight_B111 = degraded_BCHW.new_full((len(degraded_BCHW), 1, 1, 1), self.weight)

        def normal(image_BCHW: Tensor) -> Tensor:
            return forward.adjoint(forward(image_BCHW)) - weight_B111 * divergence(gradient(image_BCHW))

        right_BCHW = forward.adjoint(degraded_BCHW)
        return conjugate_gradient(normal, right_BCHW, right_BCHW, iterations=self.iterations)
