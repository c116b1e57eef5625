"""A window that slides over an image: weighted means over every position inside it.

As shifted sums: one multiply-add over the whole image for each tap. A depthwise convolution of torch is
slower on a CPU and, on a GPU, TF32 by default, which is wrong in the third digit; products with band
matrices are as fast but obey the same switches. ``benchmarks/metrics.py`` times the alternatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class SlidingWindow:
    """Separable weights of one axis, which sum to 1; the window is square."""

    weights: tuple[float, ...]

    @property
    def size(self) -> int:
        """Pixels along one side."""
        return len(self.weights)

    def means_(self, rows_HPW: Tensor) -> Tensor:
        """Weighted means of every whole window: (H - size + 1, P, W - size + 1) for any P planes.

        The result overwrites the planes: fresh memory costs as much as the arithmetic.
        """
        height, _, width = rows_HPW.shape
        means_hPw = rows_HPW[: height - self.size + 1, :, : width - self.size + 1]
        columns_hPW = torch.empty_like(rows_HPW[: height - self.size + 1])
        _shifted_sum(rows_HPW, self.weights, 0, out=columns_hPW)
        return _shifted_sum(columns_hPW, self.weights, 2, out=means_hPw)


@lru_cache
def gaussian(size: int, sigma: float) -> SlidingWindow:
    """Gaussian of standard deviation ``sigma`` pixels, cut at ``size`` and normalised."""
    offset = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-offset.square() / (2 * sigma**2))
    return SlidingWindow(tuple((weights / weights.sum()).tolist()))


def _shifted_sum(image: Tensor, weights: tuple[float, ...], dim: int, out: Tensor) -> Tensor:
    length = out.shape[dim]
    torch.mul(image.narrow(dim, 0, length), weights[0], out=out)
    for shift, weight in enumerate(weights[1:], start=1):
        out.add_(image.narrow(dim, shift, length), alpha=weight)
    return out
