"""Valid masks: averages over the pixels and the windows that hold data, and over no others.

Shapes: B batch, C channels, H and W height and width. A mask is B1HW, true where a pixel holds data;
``None`` means everywhere.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def blanked(image_BCHW: Tensor, valid_B1HW: Tensor | None, fill: Tensor | float = 0.0) -> Tensor:
    """The image with ``fill`` where there is no data, so that garbage there (even NaN) cannot spread."""
    if valid_B1HW is None:
        return image_BCHW
    fill = torch.as_tensor(fill, dtype=image_BCHW.dtype, device=image_BCHW.device)
    return torch.where(valid_B1HW.bool(), image_BCHW, fill)


def channel_sum(values_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    """Sum over the valid pixels of each channel: (B, C) float64.

    Rows add up in the dtype of the values (pairwise, a few hundred terms), rows among each other in
    float64: as exact as float64 throughout to about 1e-7, at the speed of float32.
    """
    return blanked(values_BCHW, valid_B1HW).sum(dim=-1).sum(dim=-1, dtype=torch.float64)


def channel_mean(values_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    """Mean over the valid pixels of each channel: (B, C) float64, NaN where none is valid."""
    return channel_sum(values_BCHW, valid_B1HW) / pixel_count(values_BCHW, valid_B1HW)[..., None]


def mean(values_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    """Mean over the valid pixels and all channels: (B,) float64, NaN where none is valid."""
    sum_B = blanked(values_BCHW, valid_B1HW).sum(dim=-1).sum(dim=(1, 2), dtype=torch.float64)
    return sum_B / (pixel_count(values_BCHW, valid_B1HW) * values_BCHW.shape[1])


def pixel_count(values_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    """Number of valid pixels of each image: (B,) float64, or one number for all where all are valid."""
    if valid_B1HW is None:
        pixels = float(values_BCHW.shape[-2] * values_BCHW.shape[-1])
        return torch.full((), pixels, dtype=torch.float64, device=values_BCHW.device)
    return valid_B1HW.bool().sum(dim=(1, 2, 3)).double()


def whole_windows(valid_B1HW: Tensor | None, size: int, stride: int = 1) -> Tensor | None:
    """True where a ``size`` x ``size`` window holds valid pixels only: B1hw for windows inside the image."""
    if valid_B1HW is None:
        return None
    invalid_B1HW = (~valid_B1HW.bool()).float()
    columns_B1hW = F.max_pool2d(invalid_B1HW, (size, 1), stride=(stride, 1))
    return F.max_pool2d(columns_B1hW, (1, size), stride=(1, stride)) == 0


def undefined(image_BCHW: Tensor) -> Tensor:
    """The score of images for which the metric has none: (B,) float64 NaN."""
    return torch.full((image_BCHW.shape[0],), torch.nan, dtype=torch.float64, device=image_BCHW.device)
