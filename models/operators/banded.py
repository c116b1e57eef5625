"""Banded matrices along image axes: the fast form of every separable linear operator.

Resampling and separable blur are one sparse matrix per axis with a few entries per row. Applying it is
a weighted sum of image rows, which ``embedding_bag`` does several times faster on a CPU than a matrix
product, a strided convolution or ``interpolate``, in any floating-point type and on any device.

Shapes: R rows of the matrix (output pixels), T taps per row, B C H W as everywhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class BandedMatrix:
    """``matrix[r, columns_RT[r, t]] += weights_RT[r, t]``."""

    columns_RT: Tensor
    """Column of each entry, int64."""
    weights_RT: Tensor
    """Value of each entry, float64; zero where a row has fewer entries."""
    width: int
    """Number of columns: pixels of the axis before."""

    @property
    def height(self) -> int:
        """Number of rows: pixels of the axis after."""
        return self.columns_RT.shape[0]

    @functools.cached_property
    def transposed(self) -> BandedMatrix:
        """The adjoint."""
        rows, taps = self.columns_RT.shape
        order = torch.argsort(self.columns_RT.flatten(), stable=True)
        columns = self.columns_RT.flatten()[order]
        counts = torch.bincount(columns, minlength=self.width)
        slot = torch.arange(rows * taps) - (torch.cumsum(counts, 0) - counts)[columns]
        shape = (self.width, int(counts.max()))
        columns_RT = torch.zeros(shape, dtype=torch.int64)
        weights_RT = torch.zeros(shape, dtype=torch.float64)
        columns_RT[columns, slot] = order // taps
        weights_RT[columns, slot] = self.weights_RT.flatten()[order]
        return BandedMatrix(columns_RT, weights_RT, rows)

    def __call__(self, lines_RN: Tensor) -> Tensor:
        """The matrix times N columns: ``width`` rows in, ``height`` rows out."""
        assert lines_RN.shape[0] == self.width, (lines_RN.shape, self.width)
        weights_RT = self.weights_RT.to(lines_RN.device, lines_RN.dtype)
        columns_RT = self.columns_RT.to(lines_RN.device)
        # A transposed view would take embedding_bag's slow path, ten times slower than the copy.
        return F.embedding_bag(columns_RT, lines_RN.contiguous(), per_sample_weights=weights_RT, mode="sum")


# Few, for each holds a dense matrix of the image's side.
@functools.lru_cache(maxsize=4)
def _gram_spectrum(matrix: BandedMatrix) -> tuple[Tensor, Tensor]:
    """Eigenvalues (R,) and eigenvectors (R, R) of ``A A'``, float64."""
    dense = torch.zeros(matrix.height, matrix.width, dtype=torch.float64)
    dense.scatter_add_(1, matrix.columns_RT, matrix.weights_RT)
    values, vectors = torch.linalg.eigh(dense @ dense.T)
    return values.clamp_min(0.0), vectors


@dataclass(frozen=True)
class Separable:
    """A linear operator that is one matrix along H and one along W."""

    vertical: BandedMatrix
    horizontal: BandedMatrix

    def __call__(self, image_BCHW: Tensor, after_pass: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """``A`` applied; ``after_pass`` may change the values between and after the two passes."""
        return _along_both(self.vertical, self.horizontal, image_BCHW, after_pass)

    def adjoint(self, image_BCHW: Tensor) -> Tensor:
        """``A'`` of an image in the output's space."""
        return _along_both(self.vertical.transposed, self.horizontal.transposed, image_BCHW)

    def prox(self, estimate_BCHW: Tensor, observed_BCHW: Tensor, rho: float) -> Tensor:
        """``argmin_x |A x - y|^2 + rho |x - z|^2`` with y observed and z the estimate, exactly.

        By Woodbury ``x = z + A' (A A' + rho)^-1 (y - A z)``; the spectrum of ``A A'`` is the outer
        product of the spectra of the axes. The first call for a size costs a dense eigendecomposition of
        each side (a second at 1000 pixels); later ones four small matrix products.
        """
        device, dtype = observed_BCHW.device, observed_BCHW.dtype
        values_H, vectors_HH = (each.to(device, dtype) for each in _gram_spectrum(self.vertical))
        values_W, vectors_WW = (each.to(device, dtype) for each in _gram_spectrum(self.horizontal))
        residual_BCHW = vectors_HH.T @ (observed_BCHW - self(estimate_BCHW)) @ vectors_WW
        residual_BCHW = residual_BCHW / (values_H[:, None] * values_W[None, :] + rho)
        return estimate_BCHW + self.adjoint(vectors_HH @ residual_BCHW @ vectors_WW.T)


def _along_both(
    vertical: BandedMatrix,
    horizontal: BandedMatrix,
    image_BCHW: Tensor,
    after_pass: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    # The axis that shrinks more goes first, the height where they are equal: less work, and MATLAB's order.
    if horizontal.height * vertical.width < vertical.height * horizontal.width:
        return (
            _along_both(horizontal, vertical, image_BCHW.transpose(2, 3), after_pass)
            .transpose(2, 3)
            .contiguous()
        )
    planes_PHW = image_BCHW.flatten(0, 1)
    # One plane at a time stays in a CPU's cache; a GPU wants few large launches.
    groups = torch.split(planes_PHW, 1) if image_BCHW.device.type == "cpu" else (planes_PHW,)
    result_PHW = torch.cat([_two_passes(vertical, horizontal, group, after_pass) for group in groups])
    return result_PHW.view(*image_BCHW.shape[:2], vertical.height, horizontal.height)


def _two_passes(
    vertical: BandedMatrix,
    horizontal: BandedMatrix,
    planes_PHW: Tensor,
    after_pass: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    planes, height, width = planes_PHW.shape
    lines = vertical(planes_PHW.transpose(0, 1).reshape(height, planes * width))
    if after_pass is not None:
        lines = after_pass(lines)
    lines = lines.view(vertical.height, planes, width).permute(2, 1, 0).reshape(width, -1)
    lines = horizontal(lines)
    if after_pass is not None:
        lines = after_pass(lines)
    # Transposed as a matrix: a permuted copy of three dimensions takes four times as long.
    return lines.T.contiguous().view(planes, vertical.height, horizontal.height)


def sampled(size_in: int, size_out: int, radius: float, kernel: Callable[[Tensor], Tensor]) -> BandedMatrix:
    """Each output pixel as a normalised weighting of the input pixels within ``radius`` of its centre.

    ``kernel`` takes distances in input pixels (output centre minus input centre, float64). Pixels
    beyond the border are the mirrored image, edge pixel repeated: ``c b a | a b c | c b a``.
    """
    assert min(size_in, size_out) > 0, (size_in, size_out)
    centres_R = (torch.arange(size_out, dtype=torch.float64) + 0.5) * (size_in / size_out) - 0.5
    first_R = torch.floor(centres_R - radius)
    columns_RT = first_R[:, None] + torch.arange(math.ceil(2 * radius) + 2)
    weights_RT = kernel(centres_R[:, None] - columns_RT)
    weights_RT = weights_RT / weights_RT.sum(dim=1, keepdim=True)
    used = (weights_RT != 0).any(dim=0)
    columns_RT = columns_RT[:, used].long() % (2 * size_in)
    columns_RT = torch.where(columns_RT < size_in, columns_RT, 2 * size_in - 1 - columns_RT)
    return BandedMatrix(columns_RT.contiguous(), weights_RT[:, used].contiguous(), size_in)
