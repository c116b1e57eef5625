"""Luma planes of the field: which one was used decides up to 2 dB."""

from __future__ import annotations

from torch import Tensor

STUDIO = "BT.601 luma (MATLAB rgb2ycbcr, 16..235, not rounded); the plane itself for 1 channel"
"""Protocol text of :func:`studio_luma`."""
FULL = "BT.601 luma (0.299, 0.587, 0.114, full range) for 3 channels; else each channel, scores averaged"
"""Protocol text of :func:`full_range_planes`."""

_STUDIO_WEIGHTS = (65.481 / 255.0, 128.553 / 255.0, 24.966 / 255.0)
_STUDIO_OFFSET = 16.0 / 255.0
_FULL_WEIGHTS = (0.299, 0.587, 0.114)


def has_studio_luma(image_BCHW: Tensor) -> bool:
    """Whether :func:`studio_luma` is defined: 1 or 3 channels."""
    return image_BCHW.shape[1] in (1, 3)


def studio_luma(image_BCHW: Tensor) -> Tensor:
    """B1HW luma of RGB in [0, 1] as MATLAB's ``rgb2ycbcr`` of doubles gives it: 16/255 .. 235/255.

    One channel is taken as luma already. ITU-R BT.601; the convention of super-resolution papers.
    """
    assert has_studio_luma(image_BCHW), image_BCHW.shape
    if image_BCHW.shape[1] == 1:
        return image_BCHW
    return weighted_sum(image_BCHW, _STUDIO_WEIGHTS).add_(_STUDIO_OFFSET)


def full_range_planes(image_BCHW: Tensor) -> Tensor:
    """B1HW luma in [0, 1] of three channels, as MATLAB's ``rgb2gray`` unrounded; other counts as they are."""
    return weighted_sum(image_BCHW, _FULL_WEIGHTS) if image_BCHW.shape[1] == 3 else image_BCHW


def weighted_sum(image_BCHW: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """B1HW sum of three channels; plain multiply-adds, which no reduced-precision setting touches."""
    plane_B1HW = image_BCHW[:, 0:1] * weights[0]
    return plane_B1HW.add_(image_BCHW[:, 1:2], alpha=weights[1]).add_(image_BCHW[:, 2:3], alpha=weights[2])
