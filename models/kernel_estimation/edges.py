"""Which gradients tell a blur: long edges, and strong ones in every direction.

Shapes: H and W height and width of the plane.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.kernel_estimation.planes import across, down

_WINDOW = 5
_PER_DIRECTION = 2.0
_DIRECTIONS = 4


def usefulness(plane_HW: Tensor) -> Tensor:
    """HW in [0, 1): near 0 where gradients cancel, as in noise and on what is narrower than the blur.

    Xu and Jia 2010, "Two-phase kernel estimation for robust motion deblurring", equation 2.
    """
    right_HW, down_HW = across(plane_HW), down(plane_HW)
    sums_3HW = _window_sums(torch.stack([right_HW, down_HW, torch.hypot(right_HW, down_HW)]))
    return torch.hypot(sums_3HW[0], sums_3HW[1]) / (sums_3HW[2] + 0.5)


def strong_threshold(right_HW: Tensor, down_HW: Tensor, side: int) -> float:
    """The magnitude that enough gradients of each of four directions reach for a kernel of this side.

    Cho and Lee 2009, "Fast motion deblurring", section 4.2.
    """
    magnitude_HW = torch.hypot(right_HW, down_HW)
    angle_HW = torch.atan2(down_HW, right_HW) % torch.pi
    direction_HW = (angle_HW * (_DIRECTIONS / torch.pi)).long().clamp(max=_DIRECTIONS - 1)
    wanted = int(_PER_DIRECTION * right_HW.numel() ** 0.5 * side)
    thresholds = [0.0]
    for direction in range(_DIRECTIONS):
        of_it_N = magnitude_HW[direction_HW == direction]
        if len(of_it_N):
            thresholds.append(float(of_it_N.topk(min(wanted, len(of_it_N))).values[-1]))
    return min(thresholds[1:], default=0.0)


def _window_sums(planes_NHW: Tensor) -> Tensor:
    padded = F.pad(planes_NHW[:, None], (_WINDOW // 2,) * 4, mode="circular")
    return F.avg_pool2d(padded, _WINDOW, stride=1)[:, 0] * _WINDOW**2
