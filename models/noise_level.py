"""Blind estimate of the level of white Gaussian noise, from the image alone.

The mask is Immerkaer's (1996, "Fast noise variance estimation"), the difference of two Laplacians, which
is blind to flat and sloping image parts; the robust median is Donoho and Johnstone's (1994, "Ideal
spatial adaptation by wavelet shrinkage", section 4.2), which is blind to the few edges that remain.
On photographs it was closer than the patch covariances of Chen 2015, which never see a flat part alone.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
from torch import Tensor

_UPPER_QUARTILE = 0.6744897501960817
"""Of the standard normal distribution: the median of |noise| is this times its standard deviation."""


def estimate_noise_level(image_BCHW: Tensor) -> Tensor:
    """B: standard deviation of the noise, in the image's own units; the RMS over its channels.

    Images of fewer than 3 x 3 pixels, and those with more than half of their pixels exactly flat, give 0.
    Fine texture everywhere makes the estimate too high, noise that neighbours share too low.
    """
    batch, channels, height, width = image_BCHW.shape
    if height < 3 or width < 3:
        return torch.zeros(batch, dtype=image_BCHW.dtype, device=image_BCHW.device)
    detail_BCHW = image_BCHW.diff(n=2, dim=-1).diff(n=2, dim=-2) / 6.0  # the mask's norm: 1 + 4 + 1 per axis
    median_BC = detail_BCHW.abs().reshape(batch, channels, -1).median(dim=-1).values
    return (median_BC / _UPPER_QUARTILE).square().mean(dim=1).sqrt()
