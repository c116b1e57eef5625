"""Joint total variation: edges cost less where another contrast of the same scene has them.

Haber and Holtz Gazit, "Model Fusion and Joint Inversion", Surveys in Geophysics 2013; for MR by another
contrast Ehrhardt and Betcke, "Multicontrast MRI Reconstruction with Structure-Guided Total Variation", SIAM
J. Imaging Sciences 2016. Solved by lagged diffusivity (Vogel and Oman 1996): weights from the last image,
then conjugate gradients.

Shapes: B batch, C channels of the image, P of the guide, H and W height and width of the wanted image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.guides.matching import enlarged, guide_of
from models.operators.resample import Mtf
from models.solvers.biharmonic import known_pixels
from models.solvers.conjugate_gradient import conjugate_gradient
from models.solvers.forward import Forward
from models.solvers.gradient import divergence, gradient
from models.solvers.solver import Solver, noise_level_of, number, whole

WEIGHT_PER_NOISE = 1.0
_SOFT = 2e-3
"""Difference of neighbours, as a fraction of the range, below which total variation is smooth."""
_LEAST_LEVEL = 1e-3
"""Noise that is taken for granted where none is known."""


@dataclass(frozen=True, kw_only=True)
class JointTotalVariation(Solver):
    """``min_x |A x - y|^2 / 2 + weight sum sqrt(|grad x|^2 + (influence |grad g|)^2)``.

    A are the operators and the mask of the degradation, where it tells them, and a sensor's transfer function
    where it tells but the scale; the guide's gradient is brought to the size that the image's own has on the
    mean.
    """

    name: ClassVar[str] = "joint_total_variation"

    weight: float | None = number(None, 1e-8, 1e3)
    """How much smoothing; nothing takes it from the noise level."""
    influence: float = number(2.0, 0.0, 1e3)
    """How much of the guide's edges count as the image's own; 0 is total variation."""
    rounds: int = whole(8, 1, 200)
    """Of new weights."""
    steps: int = whole(20, 1, 1000)
    """Of conjugate gradients in each."""

    def card(self, name: str) -> Card:
        """Takes the scale of the degradation; every pixel can matter."""
        return Card(
            name=name,
            summary="Total variation through the operators, with edges of another contrast for little.",
            task="general",
            scale=None,
            halo=None,
            tile_exact=False,
            needs=("guide",),
            takes=("operators", "mask", "noise_level"),
            source="Haber and Holtz Gazit 2013; Ehrhardt and Betcke 2016",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the guide's H and W."""
        # One by one: rounding depends on the batch, and conjugate gradients make a difference of it.
        each = [(degraded_BCHW[i : i + 1], condition.select([i])) for i in range(len(degraded_BCHW))]
        return torch.cat([self._restored(*one) for one in each])

    def _restored(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        scale = condition.scale
        if scale > 1 and not condition.operators:
            condition = replace(condition, operators=(Mtf(scale=scale),))
        guide_BPHW = guide_of(condition, degraded_BCHW, scale)
        masked = condition.mask_B1HW is not None
        known_B1hw = known_pixels(condition, degraded_BCHW).to(degraded_BCHW) if masked else 1.0
        forward = Forward(condition, degraded_BCHW)
        seen_BChw = (
            torch.where(known_pixels(condition, degraded_BCHW) > 0, degraded_BCHW, 0)
            if masked
            else degraded_BCHW
        )
        right_BCHW = forward.adjoint(seen_BChw)
        image_BCHW = enlarged(degraded_BCHW, scale) if scale > 1 or not condition.operators else right_BCHW
        weight_B111 = self._weight(degraded_BCHW, condition)
        edges_B1HW = gradient(guide_BPHW).square().sum(dim=(0, 2))[:, None]
        for _ in range(self.rounds):
            stiffness_B1HW = weight_B111 / self._steepness(image_BCHW, edges_B1HW)

            def normal(x_BCHW: Tensor, stiffness_B1HW: Tensor = stiffness_B1HW) -> Tensor:
                back_BCHW = forward.adjoint(known_B1hw * forward(x_BCHW))
                return back_BCHW - divergence(stiffness_B1HW * gradient(x_BCHW))

            image_BCHW = conjugate_gradient(normal, right_BCHW, image_BCHW, iterations=self.steps)
        return image_BCHW

    def _weight(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        if self.weight is not None:
            return degraded_BCHW.new_full((len(degraded_BCHW), 1, 1, 1), self.weight)
        if condition.noise_level_B is None and condition.operators:
            return degraded_BCHW.new_full((len(degraded_BCHW), 1, 1, 1), WEIGHT_PER_NOISE * _LEAST_LEVEL)
        level_B111 = noise_level_of(condition, degraded_BCHW)
        return (WEIGHT_PER_NOISE * level_B111).clamp_min(1e-2 * _LEAST_LEVEL)

    def _steepness(self, image_BCHW: Tensor, edges_B1HW: Tensor) -> Tensor:
        """BCHW, what the weights are divided by; the guide's edges at the size of each band's own."""
        own_BCHW = gradient(image_BCHW).square().sum(dim=0)
        power_BC11 = own_BCHW.mean(dim=(-2, -1), keepdim=True)
        share_B1HW = edges_B1HW / edges_B1HW.mean(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
        return (own_BCHW + self.influence**2 * power_BC11 * share_B1HW + _SOFT**2).sqrt()
