"""Wilcoxon's signed-rank test, Biometrics Bulletin 1, 1945: whether paired scores differ.

Here, and not from scipy.stats: that takes half as long as torch to import, in every run that compares.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_MOST_EXACT = 50
"""Pairs up to which each sum of ranks is counted, where no two differences are alike and none is zero."""
_MOST_EXACT_TIED = 13
"""The same with ties or zeros, as scipy.stats has it, so that both give one number."""


def signed_rank_p(difference_N: NDArray[np.float64]) -> float:
    """Two-sided p; 1 where all differences are zero, NaN where there are none.

    Zeros are left out. Of few pairs it is exact, of more the normal approximation, corrected for ties.
    """
    if not len(difference_N):
        return float("nan")
    nonzero_M = difference_N[difference_N != 0]
    if not len(nonzero_M):
        return 1.0
    _, group_M, count_G = np.unique(np.abs(nonzero_M), return_inverse=True, return_counts=True)
    # Twice the mean rank of a group of ties is a whole number.
    twice_M = (2 * np.cumsum(count_G) - count_G + 1)[group_M]
    twice_positive = int(twice_M[nonzero_M > 0].sum())
    is_plain = len(count_G) == len(difference_N)
    if len(difference_N) <= (_MOST_EXACT if is_plain else _MOST_EXACT_TIED):
        return _exact(twice_M, twice_positive)
    return _approximate(len(nonzero_M), count_G, twice_positive / 2)


def _exact(twice_M: NDArray[np.int64], twice_positive: int) -> float:
    """Share of all choices of signs whose sum is as far out, on the nearer side, twice."""
    share_S = np.zeros(int(twice_M.sum()) + 1)
    share_S[0] = 1.0
    for rank in twice_M:
        shifted_S = np.concatenate([np.zeros(rank), share_S[:-rank]])
        share_S = (share_S + shifted_S) / 2
    return min(1.0, 2 * float(min(share_S[: twice_positive + 1].sum(), share_S[twice_positive:].sum())))


def _approximate(count: int, count_G: NDArray[np.int64], positive: float) -> float:
    mean = count * (count + 1) / 4
    ties = float((count_G.astype(np.float64) ** 3 - count_G).sum())
    deviation = math.sqrt((count * (count + 1) * (2 * count + 1) - ties / 2) / 24)
    return math.erfc(abs(positive - mean) / deviation / math.sqrt(2))
