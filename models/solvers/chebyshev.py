"""Chebyshev's iteration: a fixed polynomial of an operator in place of its inverse.

Unlike conjugate gradients it takes no inner products: a pixel of the result depends on its surroundings
alone, so that tiles give the pixels of the whole image. In turn the spectrum's bounds have to be known.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor


def chebyshev(
    operator: Callable[[Tensor], Tensor], right_BCHW: Tensor, low: float, high: float, iterations: int
) -> Tensor:
    """``operator(x) = right`` nearly solved (Saad 2003, Iterative methods for sparse linear systems, 12.3.2).

    The operator is symmetric, its eigenvalues in [low, high], 0 < low <= high. It is applied
    ``iterations - 1`` times; ``iterations_for`` says how many a share of the residual takes.
    """
    middle, half = (high + low) / 2, (high - low) / 2
    step_BCHW = right_BCHW / middle
    x_BCHW, residual_BCHW, previous = step_BCHW, right_BCHW, half / middle
    for _ in range(iterations - 1):
        residual_BCHW = residual_BCHW - operator(step_BCHW)
        if half == 0:
            break  # a multiple of the identity: solved by the first step
        ratio = 1 / (2 * middle / half - previous)
        step_BCHW = ratio * previous * step_BCHW + 2 * ratio / half * residual_BCHW
        x_BCHW, previous = x_BCHW + step_BCHW, ratio
    return x_BCHW


def iterations_for(tolerance: float, low: float, high: float) -> int:
    """How many leave at most this share of the residual, in (0, 1]."""
    rate = (math.sqrt(high / low) - 1) / (math.sqrt(high / low) + 1)
    return 1 if rate == 0 else max(1, math.ceil(math.log(tolerance / 2) / math.log(rate)))
