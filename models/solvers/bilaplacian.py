"""The discrete biharmonic operator and the equations it makes of holes.

The Laplacian of five points with the edge pixels repeated beyond the border, twice: symmetric, and near
the border what scikit-image's truncated stencils give.

Shapes: C channels, H and W height and width, P unknown pixels in reading order, O the 13 pixels that an
equation knows.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 2
"""In pixels, up and down, left and right."""
_OFFSETS = [
    (down, right)
    for down in range(-REACH, REACH + 1)
    for right in range(-REACH, REACH + 1)
    if abs(down) + abs(right) <= REACH
]


def bilaplacian(image_CHW: Tensor) -> Tensor:
    """CHW."""
    return _laplacian(_laplacian(image_CHW))


def equations(unknown_HW: Tensor) -> tuple[Tensor, Tensor]:
    """PO, PO: for each unknown pixel the numbers of those in its equation, -1 for none, and their factors.

    The Laplacian is that of a graph, with -n for a pixel of n neighbours and 1 for each of them. In its
    square a pixel has n^2 + n, a neighbour the sum of both -n, and others the number of ways to them.
    """
    height, width = unknown_HW.shape
    y_P, x_P = unknown_HW.nonzero(as_tuple=True)
    number_HW = torch.full_like(unknown_HW, -1, dtype=torch.int64)
    number_HW[y_P, x_P] = torch.arange(len(y_P), device=y_P.device)
    neighbours_HW = _neighbours(height, width, y_P.device)
    own_P = neighbours_HW[y_P, x_P]
    numbers, factors = [], []
    for down, right in _OFFSETS:
        other_y_P, other_x_P = y_P + down, x_P + right
        inside_P = (other_y_P >= 0) & (other_y_P < height) & (other_x_P >= 0) & (other_x_P < width)
        place = other_y_P.clamp(0, height - 1), other_x_P.clamp(0, width - 1)
        numbers.append(torch.where(inside_P, number_HW[place], -1))
        if down == right == 0:
            factors.append(own_P * own_P + own_P)
        elif abs(down) + abs(right) == 1:
            factors.append(-own_P - neighbours_HW[place])
        else:
            factors.append(torch.full_like(own_P, 2.0 if down and right else 1.0))
    return torch.stack(numbers, dim=1), torch.stack(factors, dim=1)


def blocks_of(unknown_HW: Tensor, right_PC: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The equations for ``models.solvers.block_elimination``, those of two rows to a block.

    There must be an unknown pixel in every second row at least, from the first with one to the last.
    """
    number_PO, factor_PO = equations(unknown_HW)
    y_P = unknown_HW.nonzero()[:, 0]
    counts = torch.bincount((y_P - y_P[0]) // REACH)
    ends = [0, *counts.cumsum(0).tolist()]
    for start, end, next_end in zip(ends, ends[1:], [*ends[2:], ends[-1]], strict=False):
        number = number_PO[start:end] - start
        row, other = (number >= 0).nonzero(as_tuple=True)
        matrix = right_PC.new_zeros(end - start, next_end - start)
        matrix[row, number[row, other]] = factor_PO[start:end][row, other]
        yield matrix[:, : end - start], matrix[:, end - start :], right_PC[start:end]


def _laplacian(image_CHW: Tensor) -> Tensor:
    padded = F.pad(image_CHW, (1, 1, 1, 1), mode="replicate")
    beside = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    return padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + beside - 4 * image_CHW


def _neighbours(height: int, width: int, device: torch.device) -> Tensor:
    """HW, float64: how many each pixel has, four but at the border."""
    counts_HW = torch.full((height, width), 4.0, dtype=torch.float64, device=device)
    for edge in (counts_HW[0], counts_HW[-1], counts_HW[:, 0], counts_HW[:, -1]):
        edge -= 1
    return counts_HW
