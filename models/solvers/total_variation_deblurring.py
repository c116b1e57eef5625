"""Inverting any linear degradation with a total-variation prior, by the primal-dual method.

Chambolle and Pock 2011, "A first-order primal-dual algorithm for convex problems with applications to
imaging", algorithm 1 with both terms dualised, so that only A and its adjoint are needed.

Shapes: B batch, C channels, H and W height and width of the wanted image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.forward import Forward
from models.solvers.gradient import divergence, gradient, project_to_ball
from models.solvers.solver import Solver, noise_level_of, number, whole

_GRADIENT_NORM = 8.0
"""Bound of the squared norm of the gradient in two dimensions (Chambolle 2004, theorem 3.1)."""
WEIGHT_PER_NOISE = 0.15
"""Best weight in units of the noise level on blurred photographs, sigma 2 to 10: measured."""


@dataclass(frozen=True, kw_only=True)
class TotalVariationDeblurring(Solver):
    """``min_x |A x - y|^2 / 2 + weight TV(x)`` for the operators of the condition."""

    name: ClassVar[str] = "total_variation_deblurring"

    weight: float | None = number(None, 1e-7, 1e3)
    """Of the total variation; nothing takes it from the noise level."""
    iterations: int = whole(150, 1, 100_000)
    """Steps of the primal-dual method; always all of them."""

    def card(self, name: str) -> Card:
        """Takes the scale of the degradation; every pixel can matter."""
        return Card(
            name=name,
            summary="Total-variation deblurring and super-resolution by the primal-dual method.",
            task="deblurring",
            scale=None,
            halo=None,
            tile_exact=False,
            needs=("operators", "noise_level") if self.weight is None else ("operators",),
            source="Chambolle and Pock 2011; Rudin, Osher and Fatemi 1992",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the condition's scale times H and W."""
        forward = Forward(condition, degraded_BCHW)
        if self.weight is None:
            weight_B111 = (WEIGHT_PER_NOISE * noise_level_of(condition, degraded_BCHW)).clamp(min=1e-6)
        else:
            weight_B111 = degraded_BCHW.new_full((degraded_BCHW.shape[0], 1, 1, 1), self.weight)
        return self._solve(forward, degraded_BCHW, weight_B111)

    def _solve(self, forward: Forward, degraded_BCHW: Tensor, weight_B111: Tensor) -> Tensor:
        step = 1.0 / (_GRADIENT_NORM + forward.squared_norm(degraded_BCHW)) ** 0.5
        # Longer primal steps suit the small duals of a small weight: the product alone is bounded.
        dual_step, step = step / 4, step * 4
        image_BCHW = leading_BCHW = forward.adjoint(degraded_BCHW)
        slope_2BCHW = torch.zeros_like(gradient(image_BCHW))
        misfit_BCHW = torch.zeros_like(degraded_BCHW)
        for _ in range(self.iterations):
            slope_2BCHW = project_to_ball(slope_2BCHW + dual_step * gradient(leading_BCHW), weight_B111)
            misfit_BCHW = misfit_BCHW + dual_step * (forward(leading_BCHW) - degraded_BCHW)
            misfit_BCHW = misfit_BCHW / (1 + dual_step)
            previous_BCHW = image_BCHW
            image_BCHW = image_BCHW + step * (divergence(slope_2BCHW) - forward.adjoint(misfit_BCHW))
            leading_BCHW = 2 * image_BCHW - previous_BCHW
        return image_BCHW
