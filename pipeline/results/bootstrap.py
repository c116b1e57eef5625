"""Bootstrap intervals of means over images.

Axes: N images, K columns, M blocks of images, B resamples.

Intervals are bias-corrected and accelerated (BCa; Efron, "Better bootstrap confidence intervals", JASA 82,
1987, sections 3 to 5), from 10,000 seeded resamples. More than 4,096 images are first dealt at random to
4,096 blocks and the blocks are resampled instead, so that time and memory stop growing; the width
then has a standard error of about 1 %, which is what 10,000 resamples have anyway.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95
BLOCKS = 4_096
SEED = 20_250_101
PARTS = 200
"""Resamples are drawn and summed in so many parts, a few megabytes each."""
SHARED = 30
"""Columns with so many images share the resamples of all images, whichever of them they miss: their
count then varies from resample to resample, which changes the width by less than 2 %. Shorter ones
are drawn alone."""

Floats = NDArray[np.float64]
# Of Python's own: scipy.special takes longer to import than most tables to sum up.
_NORMAL = NormalDist()
_normal_quantile = np.vectorize(_NORMAL.inv_cdf, otypes=[np.float64])
_normal_share = np.vectorize(_NORMAL.cdf, otypes=[np.float64])


def bootstrap_interval(values_NK: Floats) -> tuple[Floats, Floats]:
    """95 % BCa interval of each column's mean over what is not NaN: (low_K, high_K).

    NaN for fewer than two values; both ends at the mean where all values are equal.
    """
    low_K, high_K = np.full((2, values_NK.shape[1]), np.nan)
    n_K = np.count_nonzero(~np.isnan(values_NK), axis=0)
    shared = np.flatnonzero(n_K >= SHARED)
    if len(shared):
        low_K[shared], high_K[shared] = _bca(values_NK[:, shared])
    for k in np.flatnonzero((n_K >= 2) & (n_K < SHARED)):
        (low_K[k],), (high_K[k],) = _bca(values_NK[~np.isnan(values_NK[:, k])][:, [k]])
    return low_K, high_K


def _bca(values_NK: Floats) -> tuple[Floats, Floats]:
    lowest_K, highest_K = np.nanmin(values_NK, axis=0), np.nanmax(values_NK, axis=0)
    return interval_of_blocks(*_blocks(values_NK), lowest_K, highest_K)


def interval_of_blocks(
    sums_MK: Floats, sizes_MK: Floats, lowest_K: Floats, highest_K: Floats
) -> tuple[Floats, Floats]:
    """The same of columns known by sums, counts and extremes of random blocks: (low_K, high_K)."""
    mean_K = sums_MK.sum(axis=0) / sizes_MK.sum(axis=0)
    means_BK = np.sort(_resampled_means(sums_MK, sizes_MK), axis=0)
    deviation_MK = sums_MK - mean_K * sizes_MK
    spread_K = np.sum(deviation_MK**2, axis=0)
    equal_K = lowest_K == highest_K
    acceleration_K = np.sum(deviation_MK**3, axis=0) / (6 * np.where(equal_K, 1.0, spread_K) ** 1.5)
    below_K = (np.mean(means_BK < mean_K, axis=0) + np.mean(means_BK <= mean_K, axis=0)) / 2
    bias_K = _normal_quantile(np.clip(below_K, 1 / RESAMPLES, 1 - 1 / RESAMPLES))
    ends = []
    for tail in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2):
        z_K = bias_K + _NORMAL.inv_cdf(tail)
        share_K = _normal_share(bias_K + z_K / (1 - acceleration_K * z_K))
        ends.append([np.quantile(means_B, share) for means_B, share in zip(means_BK.T, share_K, strict=True)])
    low_K, high_K = np.where(equal_K, lowest_K, ends)
    return low_K, high_K


def _blocks(values_NK: Floats) -> tuple[Floats, Floats]:
    """Sums and counts of what is not NaN in random blocks; a block is one image up to ``BLOCKS`` images."""
    n = len(values_NK)
    missing_NK = np.isnan(values_NK)
    known_NK = np.where(missing_NK, 0.0, values_NK)
    present_NK = (~missing_NK).astype(np.float64)
    if n <= BLOCKS:
        return known_NK, present_NK
    shuffled_N = np.random.default_rng(SEED).permutation(n)
    starts = np.arange(BLOCKS) * n // BLOCKS
    sums_MK = np.add.reduceat(known_NK[shuffled_N], starts, axis=0)
    if missing_NK.any():
        return sums_MK, np.add.reduceat(present_NK[shuffled_N], starts, axis=0)
    sizes_M = np.diff(starts, append=n).astype(np.float64)
    return sums_MK, np.repeat(sizes_M[:, None], sums_MK.shape[1], axis=1)


def _resampled_means(sums_MK: Floats, sizes_MK: Floats) -> Floats:
    if np.all(sizes_MK == sizes_MK[:, :1]):
        sizes_MK = sizes_MK[:, :1]  # nothing is missing: one count serves all columns
    means = []
    for chunk in np.array_split(_counts(len(sums_MK)), PARTS):
        weights = chunk.astype(np.float64)
        means.append((weights @ sums_MK) / (weights @ sizes_MK))
    return np.concatenate(means)


@lru_cache(maxsize=1)
def _counts(n: int) -> NDArray[np.uint8]:
    """How often each of n blocks is drawn in each resample: B x n, at most 41 MB.

    A byte is enough: above 255 blocks the same one is drawn more than 255 times once in 10^500 draws.
    """
    rng = np.random.default_rng((SEED, n))
    counts_BN = np.empty((RESAMPLES, n), dtype=np.uint8)
    for rows in np.array_split(np.arange(RESAMPLES), PARTS):
        draws = rng.integers(0, n, size=(len(rows), n)) + n * np.arange(len(rows))[:, None]
        counts_BN[rows] = np.bincount(draws.ravel(), minlength=n * len(rows)).reshape(-1, n)
    return counts_BN
