"""Blur of each image with a kernel of its own, all of them in one Fourier transform.

Shapes: B batch, C channels, H and W height and width, K side of a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.operators.batched.batch import Batch
from models.operators.batched.draws import Draws
from models.operators.batched.whole import is_slower_together, one_by_one
from models.operators.convolution import fast_length, require_kernel_fits
from models.operators.motion import drawn_kernels


def blur(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Of one ``border``."""
    # With circular borders the canvas is the image itself: no two sizes share one.
    if operators[0].border == "circular" or is_slower_together(batch):
        return one_by_one(operators, batch, draws)
    return blurred(operators, [each.kernel() for each in operators], batch)


def shake(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Paths are drawn from each sample's generator."""
    generators = [draws.generator(index) for index in range(len(operators))]
    return blurred(operators, drawn_kernels(operators, generators), batch)


def blurred(operators: Sequence[Any], kernels: Sequence[Tensor], batch: Batch) -> Batch:
    """By Fourier transforms of one canvas, whatever the device."""
    for operator, kernel_KK, size in zip(operators, kernels, batch.sizes, strict=True):
        require_kernel_fits(operator.name, len(kernel_KK), *size)
    radius = max(len(each) for each in kernels) // 2
    kernel_BKK = torch.stack([_widened(each, radius) for each in kernels]).to(batch.image_BCHW)
    height, width = batch.image_BCHW.shape[2:]
    canvas = fast_length(height + 2 * radius), fast_length(width + 2 * radius)
    spectrum = torch.fft.rfft2(kernel_BKK, s=canvas)[:, None]
    blurred = torch.fft.irfft2(torch.fft.rfft2(_mirrored(batch, radius, canvas)) * spectrum, s=canvas)
    first = 2 * radius
    return batch.with_pixels(blurred[..., first : first + height, first : first + width].contiguous())


def _widened(kernel_KK: Tensor, radius: int) -> Tensor:
    margin = radius - len(kernel_KK) // 2
    return F.pad(kernel_KK, (margin, margin, margin, margin))


def _mirrored(batch: Batch, radius: int, canvas: tuple[int, int]) -> Tensor:
    """Each image and what is mirrored at its own borders, from ``radius`` pixels before its corner on."""
    device = batch.image_BCHW.device
    sizes_B2 = torch.tensor(batch.sizes, device=device)
    rows_BH, columns_BW = (
        _mirror_index(sizes_B2[:, axis, None], radius, canvas[axis], device) for axis in (0, 1)
    )
    channels = batch.image_BCHW.shape[1]
    rows_BCHW = rows_BH[:, None, :, None].expand(-1, channels, -1, batch.image_BCHW.shape[3])
    lines_BCHW = batch.image_BCHW.gather(2, rows_BCHW)
    return lines_BCHW.gather(3, columns_BW[:, None, None, :].expand(-1, channels, canvas[0], -1))


def _mirror_index(size_B1: Tensor, radius: int, length: int, device: torch.device) -> Tensor:
    """BL: which pixel of ``size`` lies at each of ``length`` places."""
    index_BL = torch.arange(-radius, length - radius, device=device)[None, :] % (2 * size_B1)
    return torch.where(index_BL < size_B1, index_BL, 2 * size_B1 - 1 - index_BL)
