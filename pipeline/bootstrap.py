"""Bootstrap intervals of means over images.

Axes: N images, K columns, M blocks of images, B resamples.

Intervals are bias-corrected and accelerated (BCa; Efron, "Better bootstrap confidence intervals", JASA 82,
1987, sections 3 to 5), from 10,000 seeded resamples. More than 4,096 images are first dealt at random to
4,096 blocks and the blocks are resampled instead, so that time and memory stop growing; the width
then has a standard error of about 1 %, which is what 10,000 resamples have anyway.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

RESAMPLES = 10_000
CONFIDENCE = 0.95
BLOCKS = 4_096
SEED = 20_250_101

Floats = NDArray[np.float64]


def bootstrap_interval(values_NK: Floats) -> tuple[Floats, Floats]:
    """95 % BCa interval of each column's mean over what is not NaN: (low_K, high_K).

    NaN for fewer than two values; both ends at the mean where all values are equal.
    """
    low_K, high_K = np.full((2, values_NK.shape[1]), np.nan)
    alike: dict[bytes, list[int]] = {}  # columns with the same images share their resamples
    for k, missing_N in enumerate(np.isnan(values_NK).T):
        alike.setdefault(np.packbits(missing_N).tobytes(), []).append(k)
    for columns in alike.values():
        present_N = ~np.isnan(values_NK[:, columns[0]])
        if np.count_nonzero(present_N) >= 2:
            low_K[columns], high_K[columns] = _bca(values_NK[present_N][:, columns])
    return low_K, high_K


def _bca(values_NK: Floats) -> tuple[Floats, Floats]:
    sums_MK, sizes_M = _blocks(values_NK)
    mean_K = sums_MK.sum(axis=0) / sizes_M.sum()
    means_BK = np.sort(_resampled_means(sums_MK, sizes_M), axis=0)
    deviation_MK = sums_MK - mean_K * sizes_M[:, None]
    spread_K = np.sum(deviation_MK**2, axis=0)
    equal_K = np.ptp(values_NK, axis=0) == 0
    acceleration_K = np.sum(deviation_MK**3, axis=0) / (6 * np.where(equal_K, 1.0, spread_K) ** 1.5)
    below_K = (np.mean(means_BK < mean_K, axis=0) + np.mean(means_BK <= mean_K, axis=0)) / 2
    bias_K = ndtri(np.clip(below_K, 1 / RESAMPLES, 1 - 1 / RESAMPLES))
    ends = []
    for tail in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2):
        z_K = bias_K + ndtri(tail)
        share_K = ndtr(bias_K + z_K / (1 - acceleration_K * z_K))
        ends.append([np.quantile(means_B, share) for means_B, share in zip(means_BK.T, share_K, strict=True)])
    low_K, high_K = np.where(equal_K, values_NK[0], ends)
    return low_K, high_K


def _blocks(values_NK: Floats) -> tuple[Floats, Floats]:
    """Sums and sizes of at most ``BLOCKS`` random blocks; single images up to that number."""
    n = len(values_NK)
    if n <= BLOCKS:
        return values_NK, np.ones(n)
    shuffled_NK = values_NK[np.random.default_rng(SEED).permutation(n)]
    starts = np.arange(BLOCKS) * n // BLOCKS
    return np.add.reduceat(shuffled_NK, starts, axis=0), np.diff(starts, append=n).astype(np.float64)


def _resampled_means(sums_MK: Floats, sizes_M: Floats) -> Floats:
    counts_BM = _counts(len(sums_MK))
    means = []
    for chunk in np.array_split(counts_BM, 20):
        weights = chunk.astype(np.float64)
        means.append((weights @ sums_MK) / (weights @ sizes_M)[:, None])
    return np.concatenate(means)


@lru_cache(maxsize=2)
def _counts(n: int) -> NDArray[np.uint16]:
    """How often each of n blocks is drawn in each resample: B x n, at most 80 MB."""
    rng = np.random.default_rng((SEED, n))
    counts = [np.bincount(rng.integers(0, n, size=n), minlength=n) for _ in range(RESAMPLES)]
    return np.array(counts, dtype=np.uint16)
