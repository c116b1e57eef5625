"""Kernel distance: squared maximum mean discrepancy, unbiased (Gretton et al., JMLR 13, 2012, eq. 3).

With the polynomial kernel of Binkowski et al., ICLR 2018.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.distances.summary import FeatureSummary
from pipeline.wording import number_of


def kernel_distance(a: FeatureSummary, b: FeatureSummary) -> float:
    """Over the samples of both sets; near 0, also below, where both come from one distribution.

    The kernel is ``(x . y / D + 1)^3``. ``ValueError`` for fewer than two images in a set.
    """
    for each in (a, b):
        if len(each.sample_SD) < 2:
            raise ValueError(f"a set of {number_of(len(each.sample_SD), 'image')}; at least 2 are needed")
    within = _mean_of_pairs(a.sample_SD) + _mean_of_pairs(b.sample_SD)
    return within - 2 * float(_kernel(a.sample_SD, b.sample_SD).mean())


def _kernel(x_SD: Tensor, y_TD: Tensor) -> Tensor:
    return (x_SD @ y_TD.T / x_SD.shape[1] + 1) ** 3


def _mean_of_pairs(x_SD: Tensor) -> float:
    """Mean of the kernel over the pairs of different images."""
    kernel_SS, count = _kernel(x_SD, x_SD), len(x_SD)
    return float((kernel_SS.sum() - kernel_SS.trace()) / (count * (count - 1)))
