"""The smallest scale of intervals whose risk is bounded: risk-controlling prediction sets.

Bates, Angelopoulos, Lei, Malik and Jordan 2021, "Distribution-free, risk-controlling prediction sets", J. ACM
68(6): the risk is the mean of a loss in 0..1 that falls as sets grow; its upper bound is the
Hoeffding-Bentkus one. The guarantee is for images that are exchangeable with those of the calibration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.wording import number_of

_STEP = 1.03
"""Between scales that are tried: a half-width is at most so much wider than it must be."""


def fewest_images(alpha: float, delta: float) -> int:
    """How many images a calibration needs at least: 29 for both at 0.1."""
    return math.ceil(round(math.log(delta / 2) / math.log(1 - alpha), 9))


def p_value(mean_loss: float, images: int, alpha: float) -> float:
    """That the risk is above ``alpha``, where so many images lose ``mean_loss`` on average.

    The smaller of Hoeffding's tight bound and Bentkus' bound; both in (0, 1].
    """
    from scipy.stats import binom

    below = min(mean_loss, alpha)
    divergence = below * math.log(below / alpha) if below > 0 else 0.0
    divergence += (1 - below) * math.log((1 - below) / (1 - alpha))
    # 0.1 x 30 is 3 and must not be rounded above it.
    bentkus = math.e * float(binom.cdf(math.ceil(round(images * mean_loss, 9)), images, alpha))
    return min(math.exp(-images * divergence), bentkus, 1.0)


def log_wealth(loss_N: NDArray[np.float64], alpha: float, delta: float) -> float:
    """Most that bets on a risk of at most ``alpha`` ever won: above -log(delta) it is so but for a share
    delta.

    Images are taken in an order of their own, whatever they lose.
    """
    count = len(loss_N)
    loss_N = loss_N[np.random.default_rng(0).permutation(count)]
    seen = np.arange(2, count + 2)
    mean_N = (0.5 + loss_N.cumsum()) / seen
    variance_N = (0.25 + ((loss_N - mean_N) ** 2).cumsum()) / seen
    before_N = np.concatenate([[0.25], variance_N[:-1]])
    bet_N = np.minimum(np.sqrt(-2 * math.log(delta) / (count * before_N)), 1.0)
    return float(np.log1p(-bet_N * (loss_N - alpha)).cumsum().max())


def smallest_scale(
    ratios_NS: NDArray[np.float64],
    shares: Sequence[float],
    image_N: NDArray[np.int64],
    alpha: float,
    delta: float,
) -> float:
    """The scale at which the mean share outside is at most ``alpha`` for at least 1 - ``delta`` of
    calibrations.

    ``ratios_NS[n]`` says of row n at which scale each of the rising ``shares`` is left outside, at most;
    rows of one image count as one. ``ValueError`` where there are fewer images than ``fewest_images``, or
    none of the scales will do.
    """
    images = len(np.unique(image_N))
    if images < (needed := fewest_images(alpha, delta)):
        raise ValueError(
            f"{number_of(images, 'image')} cannot warrant intervals that miss {alpha:g} of the samples for "
            f"{1 - delta:g} of calibrations; calibrate with {needed} or more"
        )
    scale = float(ratios_NS.max())
    if not _is_safe(scale, ratios_NS, shares, image_N, alpha, delta):
        raise ValueError("no scale of the intervals bounds what they miss; calibrate with more images")
    # Every larger one must be safe as well, so it is come down to from above.
    while scale > 0 and _is_safe(scale / _STEP, ratios_NS, shares, image_N, alpha, delta):
        scale /= _STEP
    return scale


def losses(
    scale: float, ratios_NS: NDArray[np.float64], shares: Sequence[float], image_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Of each image: the share of its samples outside at this scale, at most; the mean of its rows."""
    share_N = np.asarray(shares)[(ratios_NS > scale).sum(axis=1).clip(max=len(shares) - 1)]
    place_N = np.unique(image_N, return_inverse=True)[1]
    return np.asarray(np.bincount(place_N, share_N) / np.bincount(place_N))


def _is_safe(
    scale: float,
    ratios_NS: NDArray[np.float64],
    shares: Sequence[float],
    image_N: NDArray[np.int64],
    alpha: float,
    delta: float,
) -> bool:
    loss_N = losses(scale, ratios_NS, shares, image_N)
    # Either bound holds at half of delta, so one of the two holds at delta.
    return p_value(float(loss_N.mean()), len(loss_N), alpha) <= delta / 2 or (
        log_wealth(loss_N, alpha, delta / 2) >= -math.log(delta / 2)
    )
