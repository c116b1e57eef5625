"""Pairs that are not registered: the small shifts between two images, and what of both is compared at each.

PROBA-V's challenge of 2019 (Märtens et al., Astrodynamics 3(4), 2019, sec. 3) scores a pair at the best of 49
shifts, after a constant brightness between both is taken off: sensors differ by that, restorers do not.

Shapes: B batch, C channels, H and W height and width, h and w without the margin of the shifts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.metrics import valid

REACH = 3
"""Pixels of a shift along either axis, at most."""
SHIFTS_TEXT = f"the {(2 * REACH + 1) ** 2} shifts of whole pixels by at most {REACH} along either axis"
BIAS_TEXT = "the mean over counted pixels of (reference - restored), for each channel"


class Shifted(NamedTuple):
    """Both images at one shift."""

    restored_BChw: Tensor
    """Its margin cut; NaN where it holds no data."""
    reference_BChw: Tensor
    """A window of the same size, shifted."""
    counted_B1hw: Tensor
    """True where the reference is valid and the restored image holds data."""
    bias_BC11: Tensor
    """What is added to the restored image: float64, NaN where nothing counts."""


def shifts(restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Iterator[Shifted]:
    """The pair at every shift; the mask moves with the reference. At least ``2 REACH + 1`` pixels a side."""
    height, width = (side - 2 * REACH for side in reference_BCHW.shape[-2:])
    restored_BChw = restored_BCHW[..., REACH : REACH + height, REACH : REACH + width]
    finite_B1hw = restored_BChw.isfinite().all(dim=1, keepdim=True)
    for top in range(2 * REACH + 1):
        for left in range(2 * REACH + 1):
            rows, columns = slice(top, top + height), slice(left, left + width)
            reference_BChw = reference_BCHW[..., rows, columns]
            counted_B1hw = finite_B1hw if valid_B1HW is None else finite_B1hw & valid_B1HW[..., rows, columns]
            difference_BChw = reference_BChw.double() - restored_BChw.double()
            bias_BC11 = valid.channel_mean(difference_BChw, counted_B1hw)[..., None, None]
            yield Shifted(restored_BChw, reference_BChw, counted_B1hw, bias_BC11)


def best(scores: Iterator[Tensor]) -> Tensor:
    """The highest of the scores of all shifts, image by image: (B,); NaN where all are."""
    highest_B = torch.stack([each.where(~each.isnan(), -torch.inf) for each in scores]).amax(dim=0)
    return highest_B.where(highest_B > -torch.inf, torch.nan)
