"""Filtering groups of alike blocks together, and laying the blocks back into the image.

Shapes: B image planes that are grouped alike (channels), H and W height and width, P places of blocks,
N coefficients of a block, G groups of K blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.solvers.block_matching import Groups
from models.solvers.block_transforms import SIDE, haar, on_blocks, window

_VALUES = 1 << 19
"""Of the groups that are filtered at once: what stays in a processor's cache."""


class Filtered(NamedTuple):
    """Coefficients of groups after filtering, and the weight of each group."""

    coefficient_KGBN: Tensor
    weight_GB: Tensor


Variance = Callable[[Tensor], Tensor]
"""GK places to the noise variance of the groups' coefficients, ``B x N`` or ``KGBN``."""


@dataclass(frozen=True)
class HardThreshold:
    """Coefficients below ``factor`` times the noise's deviation become 0 (Dabov et al. 2007, III-A)."""

    noisy_PBN: Tensor
    factor: float

    def __call__(self, place_GK: Tensor, variance: Tensor) -> Filtered:
        """The filtered coefficients; the fewer are left, the more a group weighs."""
        coefficient_KGBN = grouped(self.noisy_PBN, place_GK)
        kept_KGBN = (coefficient_KGBN.square() > self.factor**2 * variance).to(coefficient_KGBN)
        left_GB = (kept_KGBN * variance).sum(dim=(0, 3))
        none_GB = _largest(variance)
        return Filtered(coefficient_KGBN.mul_(kept_KGBN), 1 / torch.maximum(left_GB, none_GB))


@dataclass(frozen=True)
class EmpiricalWiener:
    """Wiener filtering with the power of a first estimate's coefficients (Dabov et al. 2007, III-B)."""

    noisy_PBN: Tensor
    estimate_PBN: Tensor

    def __call__(self, place_GK: Tensor, variance: Tensor) -> Filtered:
        """The filtered coefficients; the less a group passes of the noise, the more it weighs."""
        power_KGBN = grouped(self.estimate_PBN, place_GK).square_()
        share_KGBN = power_KGBN / (power_KGBN + variance)
        passed_GB = (share_KGBN.square() * variance).sum(dim=(0, 3))
        least_GB = 1e-3 * _largest(variance)
        coefficient_KGBN = grouped(self.noisy_PBN, place_GK).mul_(share_KGBN)
        return Filtered(coefficient_KGBN, 1 / torch.maximum(passed_GB, least_GB))


def spectra(image_BHW: Tensor, rows_NN: Tensor) -> Tensor:
    """PBN: the coefficients of every block of the image, overlapping ones too."""
    blocks_PBN = F.unfold(image_BHW[:, None], SIDE).permute(2, 0, 1)
    return blocks_PBN @ on_blocks(rows_NN).to(image_BHW).T


def grouped(spectrum_PBN: Tensor, place_GK: Tensor) -> Tensor:
    """KGBN: the coefficients of groups, by Haar's transform over their blocks."""
    groups, blocks = place_GK.shape
    gathered = spectrum_PBN.flatten(1).index_select(0, place_GK.T.flatten())
    if blocks > 1:  # blocks first, so that one matrix product does for all groups
        gathered = haar(blocks).to(gathered) @ gathered.view(blocks, -1)
    return gathered.view(blocks, groups, *spectrum_PBN.shape[1:])


def filter_groups(
    groups: Groups,
    method: Callable[[Tensor, Tensor], Filtered],
    variance: Variance,
    size: tuple[int, int],
    rows_NN: Tensor,
) -> tuple[Tensor, Tensor]:
    """BHW, BHW: the sum of all filtered blocks by their weights, and the sum of the weights."""
    height, width = size
    places = (height - SIDE + 1) * (width - SIDE + 1)
    sums: tuple[Tensor, Tensor] | None = None
    for place_GK in _batches(groups):
        coefficient_KGBN, weight_GB = method(place_GK, variance(place_GK))
        if sums is None:
            sum_PBN = coefficient_KGBN.new_zeros(places, *coefficient_KGBN.shape[2:])
            sums = sum_PBN, weight_GB.new_zeros(places, weight_GB.shape[1])
        _lay_back(sums, place_GK, coefficient_KGBN * weight_GB[..., None], weight_GB)
    assert sums is not None, "an image has at least one reference block"
    sum_PBN, weight_PB = sums
    inverse_NN = on_blocks(torch.linalg.inv(rows_NN)).to(sum_PBN)
    taps_N = window().to(sum_PBN)
    blocks_PBN = (sum_PBN @ inverse_NN.T) * taps_N
    return _fold(blocks_PBN, size), _fold(weight_PB[..., None] * taps_N, size)


def _largest(variance: Tensor) -> Tensor:
    """B or GB."""
    over_coefficients = variance.amax(dim=-1)
    return over_coefficients.amax(dim=0) if over_coefficients.ndim == 3 else over_coefficients


def _batches(groups: Groups) -> Iterator[Tensor]:
    """GK places of groups of one size."""
    for blocks in torch.unique(groups.count_R).tolist():
        place_GK = groups.place_RK[groups.count_R == blocks, :blocks]
        yield from torch.split(place_GK, max(_VALUES // (blocks * SIDE * SIDE), 1))


def _lay_back(
    sums: tuple[Tensor, Tensor], place_GK: Tensor, weighted_KGBN: Tensor, weight_GB: Tensor
) -> None:
    """Adds blocks to the sums at their places."""
    sum_PBN, weight_PB = sums
    blocks, place_M = place_GK.shape[1], place_GK.T.flatten()
    if blocks > 1:
        weighted_KGBN = haar(blocks).to(weighted_KGBN).T @ weighted_KGBN.view(blocks, -1)
    sum_PBN.view(len(sum_PBN), -1).index_add_(0, place_M, weighted_KGBN.reshape(len(place_M), -1))
    weight_PB.index_add_(0, place_M, weight_GB.repeat(blocks, 1))


def _fold(blocks_PBN: Tensor, size: tuple[int, int]) -> Tensor:
    return F.fold(blocks_PBN.permute(1, 2, 0), size, SIDE)[:, 0]
