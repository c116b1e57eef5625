"""Images moved by parts of a pixel.

Shapes: N images, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def shifted(image_NCHW: Tensor, shift_N2: Tensor) -> Tensor:
    """Each image moved down and right by so many pixels: cubic between pixels (Keys 1981), edges repeated."""
    height, width = image_NCHW.shape[-2:]
    shift_N2 = shift_N2.to(image_NCHW)
    y_NH = torch.arange(height).to(image_NCHW)[None] - shift_N2[:, :1]
    x_NW = torch.arange(width).to(image_NCHW)[None] - shift_N2[:, 1:]
    grid_NHW2 = torch.stack(
        [
            ((2 * x_NW + 1) / width - 1)[:, None].expand(-1, height, -1),
            ((2 * y_NH + 1) / height - 1)[:, :, None].expand(-1, -1, width),
        ],
        dim=3,
    )
    return F.grid_sample(image_NCHW, grid_NHW2, mode="bicubic", padding_mode="border", align_corners=False)
