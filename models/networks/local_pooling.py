"""Pooling over a window as large as training's: the local variant of global average pooling.

Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation" (TLC), ECCV 2022,
arXiv 2112.04491, section 3.3: a network that learned means over small crops gets, on whole images, means
over windows of that size.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pool_locally(features_BCHW: Tensor, size: int) -> Tensor:
    """The mean over the ``size`` x ``size`` window around each place, shifted to lie inside the image.

    Where the image is no larger than the window, along an axis, that axis is averaged whole; where
    both are, the result is the global mean, BC11.
    """
    return _mean_along(_mean_along(features_BCHW, size, 2), size, 3)


def _mean_along(features_BCHW: Tensor, size: int, axis: int) -> Tensor:
    length = features_BCHW.shape[axis]
    if length <= size:
        return features_BCHW.mean(axis, keepdim=True)
    # Differences of running sums, one axis at a time: float32 holds sums of a row, not of an image.
    running = features_BCHW.to(torch.promote_types(features_BCHW.dtype, torch.float32)).cumsum(axis)
    running = F.pad(running, (0, 0, 1, 0) if axis == 2 else (1, 0, 0, 0))
    means = (
        running.narrow(axis, size, length - size + 1) - running.narrow(axis, 0, length - size + 1)
    ) / size
    nearest = (torch.arange(length, device=means.device) - size // 2).clamp(0, length - size)
    return means.index_select(axis, nearest).to(features_BCHW.dtype)
