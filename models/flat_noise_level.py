"""Noise level of an image that was denoised already: measured where the restored image is flat.

A blind estimate (``models.noise_level``) takes texture for noise, several percent of it in an image full of
texture. The restored image tells where there is none: the mask of Immerkaer 1996 is averaged there alone, as
Liu, Tanaka and Okutomi choose patches ("Single-image noise level estimation for blind denoising", IEEE TIP
22(12), 2013). Texture that was lost in restoring runs in some direction: of differences in four directions
and the mask, the one that found least counts. Where the range cuts the noise off, its variance is that of a
censored normal variable.

Shapes: B batch, C channels, H and W height and width; h and w two less.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from models.risk import cut_moments, uncut

SIDE = 7
"""Pixels that texture is averaged over; images that are no larger keep their first estimate."""
_FLAT = 0.1
"""Texture below this share of the noise's deviation counts as none."""
_LEAST = 0.1
"""Share of pixels that are used at least, the flattest ones."""
_MARGIN = 2.0
"""Standard deviations from the ends of the range that pixels keep, where there are pixels enough."""
ENOUGH = 0.05
"""Share of pixels that is."""
_ROUNDS = 2
_SOME = 1_000


def flat_noise_level(
    noisy_BCHW: Tensor, restored_BCHW: Tensor, level_B: Tensor, valid_B1HW: Tensor | None = None
) -> Tensor:
    """B, float64: standard deviation of the noise, from a first estimate ``level_B`` of it.

    Values are fractions of the range. An image that is too small, or without noise, keeps its first estimate.
    """
    if min(noisy_BCHW.shape[-2:]) <= SIDE:
        return level_B.double()
    masks = [None] * len(noisy_BCHW) if valid_B1HW is None else list(valid_B1HW)
    each = zip(noisy_BCHW, restored_BCHW, level_B.float(), masks, strict=True)
    return torch.stack([_level(*one) for one in each]).double()


def _level(noisy_CHW: Tensor, restored_CHW: Tensor, level: Tensor, valid_1HW: Tensor | None) -> Tensor:
    texture_hw = local_mean(_detail(restored_CHW).square().mean(dim=0, keepdim=True), SIDE)[0]
    around_Chw = local_mean(restored_CHW, 5)[:, 1:-1, 1:-1]
    known_hw = without_gaps(valid_1HW, texture_hw)
    is_cut = float(noisy_CHW.min()) >= 0 and float(noisy_CHW.max()) <= 1
    masks_MChw = fine_bands(noisy_CHW)
    some = some_pixels(texture_hw)
    texture_N, known_N, around_CN = (
        texture_hw.flatten()[some],
        known_hw.flatten()[some],
        around_Chw.flatten(1)[:, some],
    )
    if level <= 0 or not bool(known_N.any()):
        return level
    for _ in range(_ROUNDS):
        inside_N = known_N & is_inside(around_CN, level)
        has_enough = bool(inside_N.double().mean() >= ENOUGH)
        if not has_enough:
            inside_N = known_N
        least = torch.quantile(texture_N[inside_N], _LEAST)
        most = torch.maximum((_FLAT * level).square(), least)
        flat_hw = known_hw & (texture_hw <= most)
        if has_enough:
            flat_hw &= is_inside(around_Chw, level)
        kept = kept_variance(around_CN[:, inside_N & (texture_N <= most)].flatten(), level) if is_cut else 1.0
        level = (_energy(masks_MChw[0], flat_hw) / kept).sqrt()
    # Texture that the restorer took for noise adds to some directions more than to others.
    return (torch.stack([_energy(each_Chw, flat_hw) for each_Chw in masks_MChw]).min() / kept).sqrt()


def is_inside(around_C_: Tensor, level: Tensor) -> Tensor:
    """Far enough from the ends of the range, in all channels; of any further shape."""
    margin = _MARGIN * level
    return ((around_C_ > margin) & (around_C_ < 1 - margin)).all(dim=0)


def _energy(detail_Chw: Tensor, flat_hw: Tensor) -> Tensor:
    """Mean square over flat pixels, float64."""
    row_h = (detail_Chw.square().sum(dim=0) * flat_hw).sum(dim=-1)
    return row_h.double().sum() / (flat_hw.sum() * len(detail_Chw))


def fine_bands(image_CHW: Tensor) -> tuple[Tensor, ...]:
    """Second differences of norm 1, each Chw: Immerkaer's mask; along, down and in both diagonals."""
    middle_Chw = image_CHW[:, 1:-1, 1:-1]
    ends = [
        image_CHW[:, 1:-1, :-2] + image_CHW[:, 1:-1, 2:],
        image_CHW[:, :-2, 1:-1] + image_CHW[:, 2:, 1:-1],
        image_CHW[:, :-2, :-2] + image_CHW[:, 2:, 2:],
        image_CHW[:, :-2, 2:] + image_CHW[:, 2:, :-2],
    ]
    return _detail(image_CHW), *((each_Chw - 2 * middle_Chw) / 6**0.5 for each_Chw in ends)


def some_pixels(image_hw: Tensor) -> slice:
    """Every so many pixels in reading order, which is enough for a mean or a quantile: from all columns."""
    stride = max(image_hw.numel() // _SOME, 1)
    while math.gcd(stride, image_hw.shape[-1]) > 1:
        stride += 1
    return slice(None, None, stride)


def kept_variance(around_N: Tensor, level: Tensor) -> Tensor:
    """Mean variance of noise that the range cuts off, as a share of what it would be.

    ``around_N`` is the restored image there, averaged over a few pixels.
    """
    level_1111 = level.view(1, 1, 1, 1)
    truth_111N = uncut(around_N[None, None, None], level_1111)
    return cut_moments(truth_111N, level_1111)[0].mean() / level.square()


def _detail(image_CHW: Tensor) -> Tensor:
    return image_CHW.diff(n=2, dim=-1).diff(n=2, dim=-2) / 6.0


def local_mean(image_CHW: Tensor, side: int) -> Tensor:
    """Over side x side pixels, mirrored at the borders: CHW."""
    height, width = image_CHW.shape[-2:]
    padded = F.pad(image_CHW, (side // 2,) * 4, mode="reflect")
    # Sums of shifted images: pooling takes four times as long on a CPU.
    across = sum((padded.narrow(-1, shift, width) for shift in range(1, side)), padded.narrow(-1, 0, width))
    down = sum((across.narrow(-2, shift, height) for shift in range(1, side)), across.narrow(-2, 0, height))
    return down / side**2


def without_gaps(valid_1HW: Tensor | None, detail_hw: Tensor) -> Tensor:
    """hw, like ``detail_hw``: where all pixels that texture is averaged over hold data."""
    if valid_1HW is None:
        return torch.ones_like(detail_hw, dtype=torch.bool)
    side = SIDE + 2
    near_1HW = F.max_pool2d((~valid_1HW).float()[None], side, stride=1, padding=side // 2)[0]
    return near_1HW[0, 1:-1, 1:-1] == 0
