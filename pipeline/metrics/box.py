"""Sums over square boxes, by shifted additions: exact, and untouched by reduced-precision settings.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def box_sum(image_BCHW: Tensor, height: int, width: int) -> Tensor:
    """Sum over every box wholly inside the image: (B, C, H - height + 1, W - width + 1)."""
    return _run_sum(_run_sum(image_BCHW, height, 2), width, 3)


def _run_sum(image_BCHW: Tensor, length: int, dim: int) -> Tensor:
    """Sums of ``length`` neighbours, from sums of half as many."""
    if length == 1:
        return image_BCHW
    half = _run_sum(image_BCHW, length // 2, dim)
    count = image_BCHW.shape[dim] - length + 1
    total = half.narrow(dim, 0, count) + half.narrow(dim, length // 2, count)
    return total + image_BCHW.narrow(dim, length - 1, count) if length % 2 else total


def halved(image_BCHW: Tensor) -> Tensor:
    """Means of 2 x 2 pixels, every second of them; past an odd edge the image counts as 0.

    What MATLAB's ``conv2(image, ones(2)/4, 'same')`` and ``(1:2:end, 1:2:end)`` give.
    """
    height, width = image_BCHW.shape[-2:]
    return F.avg_pool2d(F.pad(image_BCHW, (0, width % 2, 0, height % 2)), 2)
