"""Grey planes that wrap around without a seam, their differences, and kernels in the Fourier domain.

Shapes: H and W height and width of a plane, K side of a kernel.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from models.operators.convolution import fast_length


def across(plane_HW: Tensor) -> Tensor:
    """HW: the next pixel to the right less this one, around the border."""
    return plane_HW.roll(-1, 1) - plane_HW


def down(plane_HW: Tensor) -> Tensor:
    """HW: the next pixel below less this one, around the border."""
    return plane_HW.roll(-1, 0) - plane_HW


def divergence(across_HW: Tensor, down_HW: Tensor) -> Tensor:
    """HW: the adjoint of both differences, summed."""
    return across_HW.roll(1, 1) - across_HW + down_HW.roll(1, 0) - down_HW


def laplacian_spectrum(like_HW: Tensor) -> Tensor:
    """H x (W/2 + 1): squared transfer function of the differences."""
    height, width = like_HW.shape
    down_H = 4 * torch.sin(math.pi * torch.fft.fftfreq(height).to(like_HW)).square()
    across_W = 4 * torch.sin(math.pi * torch.fft.rfftfreq(width).to(like_HW)).square()
    return down_H[:, None] + across_W


def transfer(kernel_KK: Tensor, like_HW: Tensor) -> Tensor:
    """H x (W/2 + 1): the spectrum of a kernel centred on the first pixel."""
    side = len(kernel_KK)
    placed_HW = torch.zeros_like(like_HW)
    placed_HW[:side, :side] = kernel_KK
    spectrum: Tensor = torch.fft.rfft2(placed_HW.roll((-(side // 2), -(side // 2)), (0, 1)))
    return spectrum


def around_centre(plane_HW: Tensor, side: int) -> Tensor:
    """KK: what lies about the first pixel of a plane that wraps around."""
    return plane_HW.roll((side // 2, side // 2), (0, 1))[:side, :side]


def wrapped(plane_HW: Tensor, margin: int) -> Tensor:
    """The plane, continued below and right by at least ``margin`` until it meets its own beginning.

    Mirror images of both ends, the one fading into the other: there is no seam that would look like an edge.
    """
    for _ in range(2):
        height = plane_HW.shape[0]
        index = torch.arange(fast_length(height + margin) - height)
        share_N1 = 0.5 - 0.5 * torch.cos(math.pi * (index + 1) / (len(index) + 1))[:, None].to(plane_HW)
        ending = plane_HW[(height - 1 - index).clamp(min=0)]
        beginning = plane_HW[index.flip(0).clamp(max=height - 1)]
        continued = torch.lerp(ending, beginning, share_N1.to(plane_HW))
        plane_HW = torch.cat([plane_HW, continued]).T
    return plane_HW.contiguous()


def resized(plane_HW: Tensor, height: int, width: int) -> Tensor:
    """By bicubic interpolation, smoothed first where it becomes smaller."""
    return F.interpolate(
        plane_HW[None, None], (height, width), mode="bicubic", antialias=True, align_corners=False
    )[0, 0]


def busiest_part(plane_HW: Tensor, side: int) -> Tensor:
    """The part of it with the most edges, ``side`` long at most."""
    height, width = (min(length, side) for length in plane_HW.shape)
    slope_HW = torch.hypot(across(plane_HW), down(plane_HW))
    slope_HW[-1], slope_HW[:, -1] = 0, 0
    step = max(min(height, width) // 8, 1)
    sums_11HW = F.avg_pool2d(slope_HW[None, None], (height, width), stride=step)
    top, left = divmod(int(sums_11HW.argmax()), sums_11HW.shape[-1])
    return plane_HW[top * step :, left * step :][:height, :width]
