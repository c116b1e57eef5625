"""Elimination for systems whose unknowns come in blocks that know only their neighbours.

Golub and Van Loan, "Matrix Computations", section 4.5 (block tridiagonal systems). PyTorch has no sparse
elimination; this one is dense within the blocks and runs on any device.

Shapes: N unknowns of a block, M of the next, S right sides.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def solve_blocks(blocks: Iterable[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """All unknowns one below the other, for the right sides of all blocks.

    Each block brings its NN diagonal, the NM part above the next one's diagonal (M is 0 for the last) and
    its NS right side. The whole matrix must be symmetric and positive definite.
    """
    steps: list[tuple[Tensor, Tensor, Tensor]] = []
    for diagonal_NN, above_NM, right_NS in blocks:
        if steps:
            _, before_NM, before_NS = steps[-1]
            diagonal_NN = diagonal_NN - before_NM.T @ before_NM
            right_NS = right_NS - before_NM.T @ before_NS
        root_NN = torch.linalg.cholesky(diagonal_NN)
        both = torch.linalg.solve_triangular(root_NN, torch.cat([above_NM, right_NS], dim=1), upper=False)
        steps.append((root_NN, both[:, : above_NM.shape[1]], both[:, above_NM.shape[1] :]))
    solved: list[Tensor] = []
    for root_NN, above_NM, right_NS in reversed(steps):
        left_NS = right_NS - above_NM @ solved[-1] if solved else right_NS
        solved.append(torch.linalg.solve_triangular(root_NN.T, left_NS, upper=True))
    return torch.cat(solved[::-1])
