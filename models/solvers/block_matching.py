"""For each of many blocks of an image, the blocks around it that look most alike.

Shapes: H and W height and width, R reference blocks, K matches, D vertical and horizontal offsets,
S reference rows of a strip, L reference columns.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.solvers.block_transforms import SIDE

STEP = 3
"""Distance of two reference blocks, in pixels."""
REACH = 19
"""How far away a match may lie along an axis, in pixels."""
_STRIP = 8
"""Reference rows that are matched at once: what they look at stays in a processor's cache."""
_FAR = 1e4
"""Stands beyond the border: a block that holds it is like no other."""


class Groups(NamedTuple):
    """Matches of the reference blocks, the reference itself first."""

    place_RK: Tensor
    """Of a block's upper left pixel, in reading order among the ``(H - 7) (W - 7)`` blocks of the image."""
    count_R: Tensor
    """How many of them are alike enough: a power of two, at least 1."""


def reference_places(side: int) -> Tensor:
    """R: where reference blocks start along an axis of this length; the last one touches the end."""
    places_R = torch.arange(0, side - SIDE + 1, STEP)
    last = side - SIDE
    return places_R if int(places_R[-1]) == last else torch.cat([places_R, torch.tensor([last])])


def match_blocks(image_HW: Tensor, tops_R: Tensor, most: int, threshold: float) -> Groups:
    """The blocks of least mean squared difference, at most ``most``, below the threshold.

    ``tops_R`` are the rows of the reference blocks; their columns are all ``reference_places``.
    """
    lefts_L = reference_places(image_HW.shape[1]).to(image_HW.device)
    found = [_match_strip(image_HW, strip_S, lefts_L, most) for strip_S in torch.split(tops_R, _STRIP)]
    place_RK, distance_RK = (torch.cat(parts) for parts in zip(*found, strict=True))
    alike_R = (distance_RK <= threshold * SIDE * SIDE).sum(dim=1).clamp(min=1)
    return Groups(place_RK, 2 ** alike_R.double().log2().floor().long())


def _match_strip(image_HW: Tensor, tops_S: Tensor, lefts_L: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """RK places and RK summed squared differences."""
    width, first, last = image_HW.shape[1], int(tops_S[0]), int(tops_S[-1]) + SIDE
    around_HW = _with_far_border(image_HW, first, last)
    rows_H1W = image_HW[first:last, None]
    tops_S, lefts = tops_S.to(image_HW.device) - first, lefts_L
    offsets = 2 * REACH + 1
    distance_DSDL = image_HW.new_empty(offsets, len(tops_S), offsets, len(lefts_L))
    for down in range(offsets):
        shifted_HDW = around_HW[down : down + last - first].unfold(1, width, 1)
        squared_HDW = (shifted_HDW - rows_H1W).square_()
        rows_SDW = _sums_of_eight(squared_HDW, 0)[tops_S]
        distance_DSDL[down] = _sums_of_eight(rows_SDW, 2)[..., lefts]
    # Where an image is flat all are as alike; without the reference itself there may be pixels of no block.
    distance_DSDL[REACH, :, REACH] = -1.0
    distance_RD = distance_DSDL.permute(1, 3, 0, 2).reshape(len(tops_S) * len(lefts_L), -1)
    distance_RK, offset_RK = distance_RD.topk(most, dim=1, largest=False)
    down_RK, right_RK = offset_RK // offsets - REACH, offset_RK % offsets - REACH
    row_R = (tops_S + first).repeat_interleave(len(lefts_L))[:, None] + down_RK
    column_R = lefts_L.repeat(len(tops_S))[:, None] + right_RK
    last_row, blocks = image_HW.shape[0] - SIDE, width - SIDE + 1
    # Where less than K blocks exist, places beyond the border fill the list: their distance is too large.
    return row_R.clamp(0, last_row) * blocks + column_R.clamp(0, width - SIDE), distance_RK


def _with_far_border(image_HW: Tensor, first: int, last: int) -> Tensor:
    top, bottom = max(first - REACH, 0), min(last + REACH, image_HW.shape[0])
    missing = (REACH, REACH, top - (first - REACH), last + REACH - bottom)
    return F.pad(image_HW[top:bottom], missing, value=_FAR)


def _sums_of_eight(values: Tensor, axis: int) -> Tensor:
    """Of each value and the seven after it, along an axis."""
    assert SIDE == 8
    for step in (1, 2, 4):
        length = values.shape[axis] - step
        values = values.narrow(axis, 0, length) + values.narrow(axis, step, length)
    return values
