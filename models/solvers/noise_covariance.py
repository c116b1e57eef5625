"""Noise that neighbours share, in the coefficients of groups of blocks.

Mäkinen, Azzari and Foi 2020, "Collaborative filtering of correlated noise: exact transform-domain variance
for improved shrinkage and patch matching", section III: blocks of one group hold noise that depends on where
they lie to each other, so that the variance of a group's coefficients is found for every group.

Shapes: S side of the spectrum, P displacements, N coefficients of a block, G groups of K blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.solvers.block_matching import REACH
from models.solvers.block_transforms import SIDE, haar, on_blocks

SPECTRUM_SIDE = 128
"""Of the field on which noise is described: two blocks of a group, their pixels included, fit into half."""
_SPAN = 4 * REACH + 1
"""Displacements along an axis between two matches of a reference block."""


def spectrum_of(kernel_KK: Sequence[Sequence[float]]) -> Tensor:
    """SS float64: power spectrum, of mean 1, of white noise that was convolved with the kernel."""
    kernel = torch.tensor(kernel_KK, dtype=torch.float64)
    power_SS: Tensor = torch.fft.fft2(kernel / kernel.norm(), s=(SPECTRUM_SIDE, SPECTRUM_SIDE)).abs().square()
    return power_SS


class NoiseCovariance:
    """Variances of group coefficients for noise of a power spectrum (SS, variance of a pixel its mean)."""

    def __init__(self, power_SS: Tensor, rows_NN: Tensor, like: Tensor) -> None:
        basis_N88 = on_blocks(rows_NN).view(-1, SIDE, SIDE)
        response_NSS = torch.fft.fft2(basis_N88, s=(SPECTRUM_SIDE, SPECTRUM_SIDE)).abs().square()
        covariance_NSS = torch.fft.ifft2(response_NSS * power_SS).real
        offsets = torch.arange(-2 * REACH, 2 * REACH + 1) % SPECTRUM_SIDE
        self._covariance_PN = covariance_NSS[:, offsets][..., offsets].flatten(1).T.contiguous().to(like)

    def __call__(self, place_GK: Tensor, blocks_across: int) -> Tensor:
        """KGN: variance of each coefficient of each group, its blocks at these places."""
        rows_KG, columns_KG = place_GK.T // blocks_across, place_GK.T % blocks_across
        down_KKG, right_KKG = (each[:, None] - each[None] + 2 * REACH for each in (rows_KG, columns_KG))
        table_M = (down_KKG * _SPAN + right_KKG).flatten()
        blocks, coefficients = place_GK.shape[1], self._covariance_PN.shape[1]
        covariance = self._covariance_PN.index_select(0, table_M).view(blocks, -1)
        haar_KK = haar(blocks).to(covariance)
        half_KKM = (haar_KK @ covariance).view(blocks, blocks, -1)
        variance_KM = torch.bmm(haar_KK[:, None], half_KKM)[:, 0]
        # A kernel without some frequency leaves nothing there, and rounding less than nothing.
        return variance_KM.view(blocks, -1, coefficients).clamp(min=1e-6)
