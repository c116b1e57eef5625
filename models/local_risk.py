"""The error of a restored image, square by square: Stein's formula where it stands out of chance.

Stein's estimate holds for any restorer, but the noise's own energy, known on average only, is in it: for
strong noise more than the error itself. Where an image is flat, what is left of the noise is all there is,
and the restorer's slopes tell it almost without chance (``Risk.posterior``). So each square of an image has
both, and takes from Stein's what stands out of chance: the squares' estimates are shrunk to the posterior
ones as in James and Stein 1961, "Estimation with quadratic loss", and as an empirical Wiener filter does.

Shapes: B batch, C channels, H and W height and width; h and w in squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.risk import RiskMaps


@dataclass(frozen=True)
class Shrinkage:
    """How far single squares are believed."""

    side: int
    """Of a square, in pixels."""
    doubt: float
    """How many variances of chance a deviation must have before it counts at all."""


KNOWN = Shrinkage(side=32, doubt=2.0)
"""Where the noise level is given, and deviations are chance or bias."""
ESTIMATED = Shrinkage(side=16, doubt=2.0)
"""Where it was estimated: an error of the level deviates everywhere, and flat squares must not count."""


@dataclass(frozen=True)
class LocalRisk:
    """Both (B,) float64."""

    error_B: Tensor
    """Mean squared error."""
    chance_B: Tensor
    """Its standard deviation by the noise's own energy."""


def local_risk(maps: RiskMaps, valid_B1HW: Tensor | None, shrinkage: Shrinkage) -> LocalRisk:
    """Over valid pixels; NaN where none is."""
    channels = maps.excess_BCHW.shape[1]
    excess_BCHW = maps.excess_BCHW if maps.clear_BCHW is None else maps.clear_BCHW
    chance_BCHW = maps.clear_chance_BCHW
    chance_BCHW = 2 * maps.variance_BCHW.square() if chance_BCHW is None else chance_BCHW
    parts = (excess_BCHW + maps.spread_BCHW, maps.spread_BCHW, chance_BCHW)
    sums_B4HW = torch.cat(
        [each.expand_as(maps.excess_BCHW).sum(dim=1, keepdim=True) for each in parts], dim=1
    )
    count_B1HW = torch.full_like(sums_B4HW[:, :1], channels)
    sums_B4HW = torch.cat([sums_B4HW, count_B1HW], dim=1)
    if valid_B1HW is not None:
        sums_B4HW = torch.where(valid_B1HW, sums_B4HW, 0.0)
    sums_B4hw = _squares(sums_B4HW, shrinkage.side)
    around_B4hw = 9 * F.avg_pool2d(F.pad(sums_B4hw, (1, 1, 1, 1)), 3, stride=1)
    bias_Bhw, spread_Bhw, chance_sum_Bhw, count_Bhw = sums_B4hw.unbind(dim=1)
    bias_around, spread_around, _, count_around = around_B4hw.unbind(dim=1)
    # Squares without data divide by one: their sums are zero.
    chance_Bhw = chance_sum_Bhw / count_Bhw.clamp_min(1).square()
    near_Bhw = chance_Bhw * count_Bhw / count_around.clamp_min(1)
    likely_Bhw = (spread_around / count_around.clamp_min(1)).clamp_min(0).square()
    bias_square_Bhw = (bias_around / count_around.clamp_min(1)).clamp_min(0).square()
    tiny = torch.finfo(torch.float64).tiny
    weight_Bhw = torch.maximum(
        likely_Bhw / (likely_Bhw + chance_Bhw).clamp_min(tiny),
        1 - shrinkage.doubt * near_Bhw / bias_square_Bhw.clamp_min(tiny),
    )
    total_B = count_Bhw.sum(dim=(1, 2))
    error_B = (spread_Bhw + weight_Bhw * bias_Bhw).sum(dim=(1, 2)) / total_B
    chance_B = (weight_Bhw * count_Bhw).square().mul(chance_Bhw).sum(dim=(1, 2)).sqrt() / total_B
    return LocalRisk(error_B, chance_B)


def _squares(image_BCHW: Tensor, side: int) -> Tensor:
    """Sums over squares, smaller ones at the right and below: BChw."""
    height, width = image_BCHW.shape[-2:]
    padded_BCHW = F.pad(image_BCHW, (0, -width % side, 0, -height % side))
    return F.avg_pool2d(padded_BCHW, side) * side**2
