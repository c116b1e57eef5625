"""Conjugate gradients for a batch of systems with one symmetric positive definite operator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def conjugate_gradient(
    operator: Callable[[Tensor], Tensor],
    right_BCHW: Tensor,
    start_BCHW: Tensor,
    *,
    iterations: int,
    tolerance: float = 1e-5,
    precondition: Callable[[Tensor], Tensor] = lambda residual_BCHW: residual_BCHW,
) -> Tensor:
    """Solves ``operator(x) = right`` per image (Hestenes and Stiefel 1952).

    An image stops when its residual is below ``tolerance`` times its right side, both measured by
    ``precondition`` (symmetric, positive definite, near the inverse), whatever the others of its batch do, so
    that an image's pixels do not depend on its neighbours.
    """
    x_BCHW = start_BCHW
    residual_BCHW = right_BCHW - operator(x_BCHW)
    direction_BCHW = precondition(residual_BCHW)
    energy_B = _dot(residual_BCHW, direction_BCHW)
    enough_B = tolerance**2 * _dot(right_BCHW, precondition(right_BCHW))
    for _ in range(iterations):
        active_B = energy_B > enough_B
        if not bool(active_B.any()):
            break
        image_BCHW = operator(direction_BCHW)
        curvature_B = _dot(direction_BCHW, image_BCHW)
        step_B = torch.where(active_B & (curvature_B > 0), energy_B / curvature_B, 0.0)
        x_BCHW = x_BCHW + step_B * direction_BCHW
        residual_BCHW = residual_BCHW - step_B * image_BCHW
        better_BCHW = precondition(residual_BCHW)
        previous_B, energy_B = energy_B, torch.where(active_B, _dot(residual_BCHW, better_BCHW), energy_B)
        ratio_B = torch.where(active_B, energy_B / previous_B, 0.0)
        direction_BCHW = better_BCHW + ratio_B * direction_BCHW
    return x_BCHW


def _dot(first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
    """B111 inner products."""
    return (first_BCHW * second_BCHW).sum(dim=(1, 2, 3), keepdim=True)
