"""Transforms of 8 x 8 blocks and of groups of them, as matrices.

Shapes: N length of a transform, K blocks of a group.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

SIDE = 8
"""Of a block, in pixels."""


@functools.cache
def cosine() -> Tensor:
    """NN float64: the orthonormal discrete cosine transform (type II), a row for each frequency."""
    place_N, order_N = (torch.arange(SIDE, dtype=torch.float64) for _ in range(2))
    rows_NN = torch.cos(torch.pi * order_N[:, None] * (2 * place_N + 1) / (2 * SIDE))
    return _normalised(rows_NN)


@functools.cache
def biorthogonal() -> Tensor:
    """NN float64: the biorthogonal spline wavelet 1.5 to its last level, every row of norm 1.

    Cohen, Daubechies and Feauveau 1992, "Biorthogonal bases of compactly supported wavelets", table 6.1;
    blocks are continued periodically.
    """
    smooth = torch.tensor([3, -3, -22, 22, 128, 128, 22, -22, -3, 3], dtype=torch.float64)
    rows_NN, length = torch.eye(SIDE, dtype=torch.float64), SIDE
    while length > 1:
        level_NN = torch.eye(SIDE, dtype=torch.float64)
        level_NN[:length] = 0.0
        for row in range(length // 2):
            for tap in range(10):
                level_NN[row, (2 * row + tap - 4) % length] += smooth[tap]
            level_NN[length // 2 + row, 2 * row] = 1.0
            level_NN[length // 2 + row, 2 * row + 1] = -1.0
        rows_NN, length = level_NN @ rows_NN, length // 2
    return _normalised(rows_NN)


@functools.cache
def haar(blocks: int) -> Tensor:
    """KK float64: the orthonormal Haar transform of a power of two of blocks; 1 x 1 for one block."""
    rows_KK = torch.ones(1, 1, dtype=torch.float64)
    while len(rows_KK) < blocks:
        means = torch.kron(rows_KK, torch.ones(1, 2, dtype=torch.float64))
        differences = torch.kron(torch.eye(len(rows_KK)).double(), torch.tensor([[1.0, -1.0]]).double())
        rows_KK = torch.cat([means, differences])
    return _normalised(rows_KK)


@functools.cache
def window() -> Tensor:
    """N^2 float64: the Kaiser window (beta 2) that lessens a block's weight towards its edges."""
    taps_N = torch.kaiser_window(SIDE, periodic=False, beta=2.0, dtype=torch.float64)
    return (taps_N[:, None] * taps_N).flatten()


def on_blocks(rows_NN: Tensor) -> Tensor:
    """The transform along both axes of a block, its pixels in reading order."""
    return torch.kron(rows_NN, rows_NN)


def _normalised(rows: Tensor) -> Tensor:
    scaled: Tensor = rows / rows.norm(dim=1, keepdim=True)
    return scaled
