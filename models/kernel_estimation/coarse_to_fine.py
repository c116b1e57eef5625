"""Blind estimation of a kernel: from small pictures, where it is a pixel or three, to the whole one.

At each size a latent image, the gradients of it that tell a blur, and the kernel that fits them, in turns:
the scheme of Cho and Lee 2009 and Xu and Jia 2010 with the latent image of Pan et al. 2014.

Shapes: H and W height and width of the plane, K side of the kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.kernel_estimation.edges import strong_threshold, usefulness
from models.kernel_estimation.kernel_step import centred, fitted_kernel, point
from models.kernel_estimation.latent_image import latent_image
from models.kernel_estimation.planes import across, down, resized, wrapped

SPREAD = 0.25
"""Standard deviation that planes are brought to: weights and thresholds mean the same in all."""
_ROUNDS = 5
_RATIO = 0.5**0.5
_COARSEST = 3.5
"""Side of the kernel, in pixels, at which a start by chance does no harm."""
_WEIGHT = 2e-3
"""Of a gradient in the latent image."""
_USELESS = 0.5
"""Share of the gradients that are left out as least useful."""
_MORE = 1.1
"""By how much the threshold of strong gradients falls in each round."""


def estimate_kernel(plane_HW: Tensor, side: int) -> Tensor:
    """KK, sum 1, centre of mass in the middle. ``plane`` is grey, three times as long as ``side`` or more."""
    plane_HW = plane_HW - plane_HW.mean()
    plane_HW = plane_HW * (SPREAD / float(plane_HW.std().clamp(min=1e-8)))
    scales = [1.0]
    while side * scales[-1] > _COARSEST:
        scales.append(scales[-1] * _RATIO)
    kernel_KK: Tensor | None = None
    for scale in reversed(scales):
        here = _odd(side * scale)
        height, width = (max(round(length * scale), 8) for length in plane_HW.shape)
        smaller_HW = plane_HW if scale == 1 else resized(plane_HW, height, width)
        start_KK = _first(here, plane_HW) if kernel_KK is None else _resized(kernel_KK, here)
        kernel_KK = centred(_refined(smaller_HW, start_KK))
    assert kernel_KK is not None
    return kernel_KK


def _refined(plane_HW: Tensor, kernel_KK: Tensor) -> Tensor:
    height, width, side = *plane_HW.shape, len(kernel_KK)
    blurred_HW = wrapped(plane_HW, side)
    seen_HW, inner_HW = torch.zeros_like(blurred_HW), torch.zeros_like(blurred_HW)
    seen_HW[: height - 1, : width - 1] = 1
    edge = min(side // 2, min(height, width) // 6)
    inner_HW[edge : height - edge, edge : width - edge] = 1
    useful_HW = usefulness(blurred_HW) * inner_HW
    useful_HW = useful_HW >= useful_HW[inner_HW > 0].quantile(_USELESS).clamp(min=1e-6)
    blurred_2HW = torch.stack([across(blurred_HW), down(blurred_HW)]) * seen_HW
    threshold: float | None = None
    for _ in range(_ROUNDS):
        sharp_HW = latent_image(blurred_HW, kernel_KK, _WEIGHT)
        sharp_2HW = torch.stack([across(sharp_HW), down(sharp_HW)]) * useful_HW
        if threshold is None:
            threshold = strong_threshold(sharp_2HW[0], sharp_2HW[1], side)
        else:
            threshold /= _MORE
        strong_HW = torch.hypot(sharp_2HW[0], sharp_2HW[1]) >= threshold
        kernel_KK = fitted_kernel(sharp_2HW * strong_HW, blurred_2HW, kernel_KK)
    return kernel_KK


def _first(side: int, like: Tensor) -> Tensor:
    """Two pixels side by side: a single one would stay what it is."""
    kernel_KK = point(side, like)
    return (kernel_KK + kernel_KK.roll(1, 1)) / 2


def _resized(kernel_KK: Tensor, side: int) -> Tensor:
    larger_KK = resized(kernel_KK, side, side).clamp(min=0)
    return centred(larger_KK / larger_KK.sum())


def _odd(side: float) -> int:
    return max(3, round(side) // 2 * 2 + 1)
