"""Structural similarity as a loss.

Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE TIP 13(4), 2004, section III; as a loss in Zhao et al., "Loss Functions for Image
Restoration with Neural Networks", IEEE TCI 3(1), 2017.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11
SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, kw_only=True)
class SSIM:
    """1 - SSIM: Gaussian window of 11 x 11, sigma 1.5, wholly inside the image; data range 1."""

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """A scalar in [0, 2]; ``ValueError`` for images smaller than the window."""
        if min(restored_BCHW.shape[-2:]) < WINDOW:
            raise ValueError(
                f"ssim: images must be {WINDOW} pixels or more a side, got "
                f"{tuple(restored_BCHW.shape[-2:])}; use larger crops"
            )
        # Variances are differences of squares: about the middle of the range fewer digits cancel.
        x, y = restored_BCHW.float() - 0.5, target_BCHW.float() - 0.5
        mean_x, mean_y, xx, yy, xy = _blur(torch.cat((x, y, x * x, y * y, x * y))).chunk(5)
        variances = (xx - mean_x.square()) + (yy - mean_y.square())
        covariance = xy - mean_x * mean_y
        mean_x, mean_y = mean_x + 0.5, mean_y + 0.5
        luminance = (2 * mean_x * mean_y + _C1) / (mean_x.square() + mean_y.square() + _C1)
        return 1 - (luminance * (2 * covariance + _C2) / (variances + _C2)).mean()


def _blur(image_BCHW: Tensor) -> Tensor:
    """The weighted mean of each window that lies wholly inside."""
    offsets = torch.arange(WINDOW, dtype=image_BCHW.dtype, device=image_BCHW.device) - WINDOW // 2
    weights = (-0.5 * (offsets / SIGMA).square()).exp()
    weights = weights / weights.sum()
    planes = image_BCHW.reshape(-1, 1, *image_BCHW.shape[-2:])
    planes = F.conv2d(F.conv2d(planes, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
    return planes.view(*image_BCHW.shape[:2], *planes.shape[-2:])
