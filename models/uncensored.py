"""Functions of a noisy value whose means are the true value and its square, where the range cuts noise off.

Noise that is cut off at black and white is no longer zero on average, and what it did depends on the truth:
near black an image is brighter than it should be. Worked out at an estimate of the truth, that correction has
the estimate's own bias. Functions g with E g(y) = x and E g(y) = x^2, whatever the truth x, need none: they
solve a linear equation, the table of P(y | x) times g, by least squares with a small ridge that keeps g near
what it is without a cut (Tikhonov 1963; Phillips 1962, J. ACM 9(1)). Far from the ends they are y and
y^2 - level^2.

Shapes: B batch, C channels, H and W height and width, K values of the range. Values: fractions of the range.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

_VALUES = 256
_RIDGE = 1e-3
"""Less leaves less bias and more chance; at 50/255 the value is right to 0.9/255 for every truth."""


@dataclass(frozen=True)
class Uncensored:
    """All (B, C, H, W) float64."""

    value_BCHW: Tensor
    """On average the true value."""
    square_BCHW: Tensor
    """On average its square."""
    chance_BCHW: Tensor
    """Variance of ``square - 2 truth value``, at a guess of the truth: 2 level^4 far from the ends."""
    covariance_BCHW: Tensor
    """Of the noisy value and ``value``, at that guess: level^2 far from the ends."""


def uncensored(noisy_BCHW: Tensor, guess_BCHW: Tensor, level_B: Tensor) -> Uncensored:
    """Of an image in [0, 1] with Gaussian noise of standard deviation ``level_B`` that was cut off there.

    Nothing but chance and covariance depends on the guess of the truth, in [0, 1].
    """
    found = []
    for noisy_CHW, guess_CHW, level in zip(noisy_BCHW.double(), guess_BCHW, level_B.tolist(), strict=True):
        place_CHW, truth_CHW = _nearest(noisy_CHW), _nearest(guess_CHW)
        shifts, moments = (table.to(noisy_CHW.device) for table in _tables(float(level)))
        value_CHW = noisy_CHW + shifts[0][place_CHW]
        square_CHW = noisy_CHW.square() - level**2 + shifts[1][place_CHW]
        found.append((value_CHW, square_CHW, moments[0][truth_CHW], moments[1][truth_CHW]))
    return Uncensored(*(torch.stack(each) for each in zip(*found, strict=True)))


def _nearest(image_CHW: Tensor) -> Tensor:
    return (image_CHW * (_VALUES - 1)).round().long()


@lru_cache(256)
def _tables(level: float) -> tuple[Tensor, Tensor]:
    """What to add to y and to y^2 - level^2, by y; chance and covariance, by the truth: (2, K) each."""
    value_K = torch.linspace(0, 1, _VALUES, dtype=torch.float64)
    if level <= 0:
        nothing_2K = torch.zeros_like(value_K).expand(2, -1)
        return nothing_2K, nothing_2K
    share_KK = _shares(value_K, level)
    normal_KK = share_KK.T @ share_KK + _RIDGE * torch.eye(_VALUES, dtype=torch.float64)
    plain_K2 = torch.stack([value_K, value_K.square() - level**2], dim=1)
    missing_K2 = torch.stack([value_K, value_K.square()], dim=1) - share_KK @ plain_K2
    shift_K2 = torch.linalg.solve(normal_KK, share_KK.T @ missing_K2)
    value, square = (plain_K2 + shift_K2).unbind(dim=1)
    energy_KK = square[None] - 2 * value_K[:, None] * value[None]
    mean_K = (share_KK * energy_KK).sum(dim=1)
    chance_K = (share_KK * (energy_KK - mean_K[:, None]).square()).sum(dim=1)
    covariance_K = share_KK @ (value_K * value) - (share_KK @ value_K) * (share_KK @ value)
    return shift_K2.T, torch.stack([chance_K, covariance_K])


def _shares(value_K: Tensor, level: float) -> Tensor:
    """P(y | x), a row for each truth x: what lies beyond the ends is at the ends."""
    half = 0.5 / (_VALUES - 1)
    edges = torch.special.ndtr((value_K[None, :-1] + half - value_K[:, None]) / level)
    zero, one = torch.zeros_like(edges[:, :1]), torch.ones_like(edges[:, :1])
    return torch.cat([zero, edges, one], dim=1).diff(dim=1)
