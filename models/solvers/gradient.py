"""Discrete gradient and divergence with free (Neumann) edges.

Chambolle 2004, "An algorithm for total variation minimization and applications", section 2:
forward differences, zero past the last row and column; the divergence is minus the adjoint.
"""

from __future__ import annotations

import torch
from torch import Tensor


def gradient(image_BCHW: Tensor) -> Tensor:
    """2BCHW: vertical and horizontal forward differences; the last row, column is 0."""
    steps = torch.zeros((2, *image_BCHW.shape), dtype=image_BCHW.dtype, device=image_BCHW.device)
    torch.sub(image_BCHW[..., 1:, :], image_BCHW[..., :-1, :], out=steps[0, ..., :-1, :])
    torch.sub(image_BCHW[..., 1:], image_BCHW[..., :-1], out=steps[1, ..., :-1])
    return steps


def divergence(field_2BCHW: Tensor) -> Tensor:
    """BCHW: ``<gradient(u), p> = -<u, divergence(p)>`` for every image u and field p."""
    down_BCHW, right_BCHW = field_2BCHW
    result = torch.zeros_like(down_BCHW)
    result[..., :-1, :] += down_BCHW[..., :-1, :]
    result[..., 1:, :] -= down_BCHW[..., :-1, :]
    result[..., :-1] += right_BCHW[..., :-1]
    result[..., 1:] -= right_BCHW[..., :-1]
    return result


def magnitude(field_2BCHW: Tensor) -> Tensor:
    """BCHW: Euclidean length of the field at every pixel."""
    return torch.hypot(field_2BCHW[0], field_2BCHW[1])


def project_to_ball(field_2BCHW: Tensor, radius: Tensor | float) -> Tensor:
    """The nearest field whose length is at most ``radius`` everywhere."""
    return field_2BCHW / torch.clamp(magnitude(field_2BCHW) / radius, min=1.0)
