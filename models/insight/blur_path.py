"""Gaussian blur of any strength: the path from an image to one without its details.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def blurred(image_BCHW: Tensor, sigma: float) -> Tensor:
    """Blurred by a Gaussian of ``sigma`` pixels, mirrored at the border; 0 is the image itself.

    By its spectrum, which damps no part more than another for being near a border, so that any ``sigma``
    goes with any size.
    """
    if sigma == 0:
        return image_BCHW
    height, width = image_BCHW.shape[-2:]
    tall = torch.cat([image_BCHW, image_BCHW.flip(-2)], -2)
    mirrored = torch.cat([tall, tall.flip(-1)], -1).double()
    rows = torch.fft.fftfreq(2 * height, dtype=torch.float64, device=image_BCHW.device)[:, None]
    columns = torch.fft.rfftfreq(2 * width, dtype=torch.float64, device=image_BCHW.device)
    damping_HW = torch.exp(-2 * (math.pi * sigma) ** 2 * (rows**2 + columns**2))
    smooth = torch.fft.irfft2(torch.fft.rfft2(mirrored) * damping_HW, s=mirrored.shape[-2:])
    cut: Tensor = smooth[..., :height, :width].to(image_BCHW.dtype)
    return cut
