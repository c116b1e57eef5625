"""Defects that an image shows by itself: broken lines of a scanner.

A line is compared with the medians of the lines on each side of it, in units of how far the other lines are
from theirs (median absolute deviation), and a least step is asked for as well, so that a smooth image has no
defects.

Shapes: C channels, H and W height and width, N lines.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_LINES_AROUND = 4
"""Lines on each side that a line is compared with: so many, less one, may be broken side by side."""
_LINE_DEVIATIONS, _LINE_STEP, _LINE_SHARE = 8.0, 0.02, 0.25


def scan_lines(image_CHW: Tensor) -> Tensor:
    """HW, bool: rows that do not belong between their neighbours, all of their pixels."""
    height, width = image_CHW.shape[-2:]
    return _broken_lines(image_CHW)[:, None].expand(height, width)


def dead_columns(image_CHW: Tensor) -> Tensor:
    """HW, bool: the same for columns."""
    return scan_lines(image_CHW.mT).mT


DETECTORS: dict[str, Callable[[Tensor], Tensor]] = {
    "scan_lines": scan_lines,
    "dead_columns": dead_columns,
}
"""CHW fractions of the value range -> HW, true where there is a defect."""


def _broken_lines(image_CHW: Tensor) -> Tensor:
    """N, bool: of the rows."""
    height, around = image_CHW.shape[-2], _LINES_AROUND
    if height < 2 * around + 1:
        return torch.zeros(height, dtype=torch.bool)
    padded_CHW = F.pad(image_CHW[None], (0, 0, around, around), mode="reflect")[0]
    middles_CHW = padded_CHW.unfold(1, around, 1).median(dim=-1).values
    sides = (middles_CHW[:, :height], middles_CHW[:, around + 1 :])
    # A line beside an edge is like the lines on its own side of it; a broken one is like none.
    off_CHW = torch.stack([(image_CHW - side_CHW).abs() for side_CHW in sides]).amin(dim=0)
    # Most of a broken line is off; of a pole or a kerb only a part lies on one line.
    off_N = off_CHW.quantile(_LINE_SHARE, dim=-1).amax(dim=0)
    return _in_small_groups(off_N > max(_LINE_STEP, _LINE_DEVIATIONS * _deviation(off_N)))


def _in_small_groups(broken_N: Tensor) -> Tensor:
    """Those with less than ``_LINES_AROUND`` side by side: wider stripes belong to the scene."""
    number_N = torch.cat([broken_N.new_zeros(1), broken_N[1:] != broken_N[:-1]]).cumsum(dim=0)
    return broken_N & (number_N.bincount()[number_N] < _LINES_AROUND)


def _deviation(off: Tensor) -> float:
    """The standard deviation of the undisturbed, from the median of absolute deviations."""
    return 1.4826 * float(off.flatten().median())
