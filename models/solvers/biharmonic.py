"""Inpainting with the smoothest surface through the known pixels.

Damelin and Hoang 2018, "On surface completion and image inpainting by biharmonic functions": the discrete
biharmonic operator vanishes in the holes, as in scikit-image's ``inpaint_biharmonic``.

Shapes: B batch, C channels, H and W height and width, P unknown pixels in reading order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from models.card import Card
from models.contract import Condition, RestorerError
from models.operators.banded import BandedMatrix
from models.solvers.bilaplacian import REACH, bilaplacian, blocks_of, equations
from models.solvers.block_elimination import solve_blocks
from models.solvers.conjugate_gradient import conjugate_gradient
from models.solvers.solver import Solver

_THIN = 4
"""Holes that lose all their pixels when so many are taken off all round: conjugate gradients take some
fifty steps for these, and a hundred times more for the width of ten of them."""
_STEPS, _TOLERANCE = 20_000, 1e-8
_MOST_VALUES = 1 << 27
"""Of the blocks of one hole, 1 GiB."""


@dataclass(frozen=True, kw_only=True)
class BiharmonicInpainting(Solver):
    """Fills holes so that the biharmonic operator vanishes in them; known pixels stay as they are."""

    name: ClassVar[str] = "biharmonic_inpainting"
    version: ClassVar[int] = 2

    def card(self, name: str) -> Card:
        """Every pixel around a hole can matter, however large the hole."""
        return Card(
            name=name,
            summary="Fills holes with the smoothest surface (biharmonic), known pixels untouched.",
            task="inpainting",
            halo=None,
            tile_exact=False,
            needs=("mask",),
            source="Damelin and Hoang 2018",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW, clipped to the range of each channel's known pixels."""
        return each_filled(_inpainted, degraded_BCHW, condition)


def each_filled(
    fill: Callable[[Tensor, Tensor], Tensor], degraded_BCHW: Tensor, condition: Condition
) -> Tensor:
    """BCHW: each image by ``fill(image_CHW, known_HW)``. Raises as ``known_pixels`` does."""
    known_B1HW = known_pixels(condition, degraded_BCHW)
    pairs = zip(degraded_BCHW, known_B1HW[:, 0], strict=True)
    return torch.stack([fill(image_CHW, known_HW) for image_CHW, known_HW in pairs])


def known_pixels(condition: Condition, degraded_BCHW: Tensor) -> Tensor:
    """B1HW, bool; raises ``RestorerError`` (``CONDITION_MISSING``) where an image has no known pixel."""
    assert condition.mask_B1HW is not None, "the card's needs were not checked"
    known_B1HW = condition.mask_B1HW.to(degraded_BCHW.device) > 0.5
    known_B1HW = known_B1HW.expand(degraded_BCHW.shape[0], 1, *degraded_BCHW.shape[-2:])
    if not bool(known_B1HW.any(dim=-1).any(dim=-1).all()):
        raise RestorerError("CONDITION_MISSING", "the mask leaves no known pixel to inpaint from")
    return known_B1HW


def _inpainted(image_CHW: Tensor, known_HW: Tensor) -> Tensor:
    # The equations of large holes are too nearly alike for float32.
    filled_CHW = torch.where(known_HW, image_CHW, 0.0).double()
    thick_HW = _numbered_thick(~known_HW)
    _fill_by_steps(filled_CHW, ~known_HW & (thick_HW == 0))
    for number in torch.unique(thick_HW[thick_HW > 0]).tolist():
        _fill_hole(filled_CHW, thick_HW == number)
    known_CN = image_CHW[:, known_HW]
    low_C, high_C = known_CN.amin(dim=1), known_CN.amax(dim=1)
    clipped_CHW = filled_CHW.to(image_CHW).clamp(low_C[:, None, None], high_C[:, None, None])
    return torch.where(known_HW, image_CHW, clipped_CHW)


def _numbered_thick(unknown_HW: Tensor) -> Tensor:
    """HW: a number for each hole that is not thin, 0 elsewhere; holes within reach of each other are one."""
    core_HW = unknown_HW
    for _ in range(_THIN):
        core_HW = _eroded(core_HW)
    number_HW = core_HW * torch.arange(1.0, core_HW.numel() + 1).view(core_HW.shape).to(
        core_HW.device, torch.float64
    )
    while True:
        spread_HW = _greatest_around(number_HW, REACH) * unknown_HW
        if torch.equal(spread_HW, number_HW):
            return number_HW
        number_HW = spread_HW


def _fill_by_steps(image_CHW: Tensor, hole_HW: Tensor) -> None:
    """In place, by conjugate gradients, for any number of holes at once."""
    number_PO, factor_PO = equations(hole_HW)
    matrix = BandedMatrix(number_PO.clamp(min=0), factor_PO * (number_PO >= 0), len(number_PO))
    right_CP = -bilaplacian(image_CHW)[:, hole_HW]
    value_C1P1 = conjugate_gradient(
        lambda value_C1P1: matrix(value_C1P1[:, 0, :, 0].T).T[:, None, :, None],
        right_CP[:, None, :, None],
        torch.zeros_like(right_CP)[:, None, :, None],
        iterations=_STEPS,
        tolerance=_TOLERANCE,
    )
    image_CHW[:, hole_HW] = value_C1P1[:, 0, :, 0]


def _fill_hole(image_CHW: Tensor, hole_HW: Tensor) -> None:
    """In place, in the way that takes fewer operations."""
    rows, columns = (_span(hole_HW.any(dim=dimension)) for dimension in (1, 0))
    hole_HW, image_CHW = hole_HW[rows, columns], image_CHW[:, rows, columns]
    if hole_HW.shape[0] < hole_HW.shape[1]:  # short rows make small blocks
        hole_HW, image_CHW = hole_HW.T, image_CHW.mT
    block_N = REACH * hole_HW.sum(dim=1).double()[::REACH]
    fits = 2 * float(block_N.square().sum()) <= _MOST_VALUES
    if fits and 3 * float(block_N.pow(3).sum()) < _cost_of_steps(hole_HW, len(image_CHW)):
        right_PC = -bilaplacian(image_CHW)[:, hole_HW].T
        image_CHW[:, hole_HW] = solve_blocks(blocks_of(hole_HW, right_PC)).T
    else:
        _fill_by_steps(image_CHW, hole_HW)


def _cost_of_steps(hole_HW: Tensor, channels: int) -> float:
    """What conjugate gradients cost, in operations of matrix products: some 1000 per value and step.

    The steps go with the square of the greatest width, half of it for squares from 16 to 64 pixels wide.
    """
    depth, left_HW = 0, hole_HW
    while bool(left_HW.any()):
        left_HW = _eroded(left_HW)
        depth += 1
    return 1000.0 * channels * float(hole_HW.sum()) * (20 + (2 * depth) ** 2 / 2)


def _eroded(hole_HW: Tensor) -> Tensor:
    """Without the pixels that have a known one beside them; the image's border is no such."""
    return _greatest_around((~hole_HW).double(), 1) == 0


def _greatest_around(value_HW: Tensor, reach: int) -> Tensor:
    """Of the values, all >= 0, in a square of ``2 reach + 1`` pixels."""
    across = F.max_pool2d(value_HW[None], (1, 2 * reach + 1), stride=1, padding=(0, reach))
    return F.max_pool2d(across, (2 * reach + 1, 1), stride=1, padding=(reach, 0))[0]


def _span(any_L: Tensor) -> slice:
    """From the first to the last, and what the operator reaches beyond."""
    places_N = any_L.nonzero()[:, 0]
    return slice(max(int(places_N[0]) - REACH, 0), int(places_N[-1]) + REACH + 1)
