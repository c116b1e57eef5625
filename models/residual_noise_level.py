"""Noise level of an image from what its restorer took away, weighed against what the flat parts say.

Flat parts tell a level without bias but are few; what was taken away covers the image. For a restorer that
gives the mean of all images that the input may be, it has the energy ``variance (1 - slope)``, in every
band of frequencies, with the restorer's slope in that band by one random perturbation (as Ramani, Blu and
Unser 2008 do for the whole). Detail that was lost adds to it: least in the finest bands, and of those the
quietest counts, as in ``models.flat_noise_level``. How much it may be goes with the slope, so that this
measure counts most where noise is strong or the image smooth. Averages of two measures by their variances:
Cochran 1954, "The combination of estimates from different experiments".

Shapes: B batch, C channels, H and W height and width; h and w two less; M masks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.flat_noise_level import (
    ENOUGH,
    SIDE,
    fine_bands,
    is_inside,
    kept_variance,
    local_mean,
    some_pixels,
    without_gaps,
)
from models.risk import Probe

_FLAT_ERROR = 0.01
"""Standard deviation of the level that is measured where an image is flat, as a share of it; twice that is
the most that this measure moves it."""
_LOST = 0.1
"""Standard deviation of this one, likewise, for each unit of mean slope. Both: photographs, 15 to 50/255."""
_LEAST_LEFT = 0.1
"""Of the noise in a band: a restorer that hardly takes any away says nothing of it."""


def residual_noise_level(
    noisy_BCHW: Tensor, restored_BCHW: Tensor, probe: Probe, level_B: Tensor, valid_B1HW: Tensor | None = None
) -> Tensor:
    """B, float64: standard deviation of the noise as a fraction of the range, from ``flat_noise_level``'s.

    ``probe`` is of the restorer at ``noisy_BCHW``. Images that are too small, without noise, or whose
    restorer leaves the noise as it is keep their level.
    """
    if min(noisy_BCHW.shape[-2:]) <= SIDE:
        return level_B.double()
    masks = [None] * len(noisy_BCHW) if valid_B1HW is None else list(valid_B1HW)
    images = (noisy_BCHW, restored_BCHW, probe.direction_BCHW, probe.response_BCHW)
    each = zip(*(image.float() for image in images), level_B.double(), masks, strict=True)
    return torch.stack([_level(*one) for one in each])


def _level(
    noisy_CHW: Tensor,
    restored_CHW: Tensor,
    direction_CHW: Tensor,
    response_CHW: Tensor,
    level: Tensor,
    valid_1HW: Tensor | None,
) -> Tensor:
    slopes_Chw = (direction_CHW * response_CHW)[:, 1:-1, 1:-1]
    known_hw = without_gaps(valid_1HW, slopes_Chw[0])
    if level <= 0 or not bool(known_hw.any()):
        return level
    chosen_hw, kept = _away_from_ends(noisy_CHW, restored_CHW, level, known_hw)
    bands = zip(*map(fine_bands, (noisy_CHW - restored_CHW, direction_CHW, response_CHW)), strict=True)
    taken, left = [], []
    for residual_Chw, direction_Chw, response_Chw in bands:
        taken.append(_mean(residual_Chw.square(), chosen_hw))
        left.append(1 - _mean(direction_Chw * response_Chw, chosen_hw))
    if min(map(float, left)) < _LEAST_LEFT:
        return level
    quietest = (torch.stack(taken) / torch.stack(left)).min() / kept
    ratio = (quietest.sqrt() / level).clamp(1 - 2 * _FLAT_ERROR, 1 + 2 * _FLAT_ERROR)
    lost = _LOST * _mean(slopes_Chw, known_hw)
    return level * ratio.pow(_FLAT_ERROR**2 / (_FLAT_ERROR**2 + lost.square()))


def _away_from_ends(
    noisy_CHW: Tensor, restored_CHW: Tensor, level: Tensor, known_hw: Tensor
) -> tuple[Tensor, Tensor | float]:
    """Known pixels that noise does not carry beyond the range, where there are enough, hw; and what cutting
    leaves of its variance at those that were chosen."""
    if float(noisy_CHW.min()) < 0 or float(noisy_CHW.max()) > 1:
        return known_hw, 1.0
    around_Chw = local_mean(restored_CHW, 5)[:, 1:-1, 1:-1]
    inside_hw = known_hw & is_inside(around_Chw, level)
    if inside_hw.double().mean() < ENOUGH:
        inside_hw = known_hw
    some = some_pixels(inside_hw)
    around_N = around_Chw.flatten(1)[:, some][:, inside_hw.flatten()[some]].flatten()
    return inside_hw, kept_variance(around_N, level) if len(around_N) else 1.0


def _mean(image_Chw: Tensor, chosen_hw: Tensor) -> Tensor:
    """Over chosen pixels and channels, float64."""
    row_h = (image_Chw.sum(dim=0) * chosen_hw).sum(dim=-1)
    return row_h.double().sum() / (chosen_hw.sum() * len(image_Chw))
