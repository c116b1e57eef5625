"""Images that no file or network is needed for: detail at every scale, as photographs have."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray


def generated(number: int, side: int) -> NDArray[np.uint8]:
    """HWC uint8, another one for every number: noise of every octave, each half as strong as the coarser."""
    rng = torch.Generator().manual_seed(number)
    image_1CHW, strength = torch.full((1, 3, side, side), 0.5), 0.25
    for octave in range(2, side.bit_length() - 1):
        coarse_1CHW = torch.rand(1, 3, 1 << octave, 1 << octave, generator=rng) - 0.5
        image_1CHW += strength * F.interpolate(coarse_1CHW, size=(side, side), mode="bicubic")
        strength /= 2
    return np.asarray((image_1CHW[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous())
