"""Bounds with a guarantee from images whose truth was known: split conformal prediction.

Vovk, Gammerman and Shafer 2005; Lei et al. 2018, "Distribution-free predictive inference for regression"; of
several rows of an image, Lee, Barber and Willett 2023, "Distribution-free inference with hierarchical data".
The guarantee is for a new image that is exchangeable with those of the calibration: drawn as they were. It
says nothing of other sensors, other noise or other subjects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.wording import number_of


def fewest(level: float) -> int:
    """How many images a calibration needs for this level in (0, 1): 9 for 0.9."""
    return math.ceil(round(1 / (1 - level) - 1, 9))


def lower_offset(
    truths: Sequence[float],
    estimates: Sequence[float],
    level: float,
    images: Sequence[int] | NDArray[np.int64] | None = None,
) -> float:
    """What to add to an estimate so that the truth is no lower, for at least ``level`` of new images.

    The k-th smallest of ``truth - estimate``, k = floor((1 - level) (n + 1)): the probability, over
    calibrations and new images, is at least ``level``, and at most 1 / (n + 1) more where no two are equal.
    ``images`` says of which image each row is, where some have several: rows of one err alike, so that an
    image counts once, its rows in equal parts, and n is the number of images. Raises ``ValueError`` for a
    level outside (0, 1), values that are not finite, and fewer images than ``fewest``.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be a number between 0 and 1, got {level!r}")
    margins = np.asarray(truths, np.float64) - np.asarray(estimates, np.float64)
    image_N = np.arange(len(margins)) if images is None else np.unique(images, return_inverse=True)[1]
    rows_I = np.bincount(image_N)
    count = len(rows_I)
    if count < fewest(level):
        raise ValueError(
            f"{number_of(count, 'image')} cannot warrant a level of {level:g}; "
            f"calibrate with {fewest(level)} or more"
        )
    if not np.isfinite(margins).all():
        raise ValueError("a calibration needs finite values; leave out images without a score")
    order = np.argsort(margins, kind="stable")
    # The new image may lie lower than all others: it counts with those below.
    below_N = 1.0 + np.concatenate([[0.0], (1.0 / rows_I[image_N[order]]).cumsum()[:-1]])
    # 0.1 x 10 is 1 and must not be rounded below it.
    return float(margins[order][below_N <= (1 - level) * (count + 1) + 1e-9][-1])
