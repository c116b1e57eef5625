"""Defects that an image shows by itself: broken lines of a scanner, dust and scratches.

A line is compared with the medians of the lines on each side of it, in units of how far the other lines are
from theirs (median absolute deviation), and a least step is asked for as well, so that a smooth image has no
defects.

Dust is what an opening or a closing takes away (Serra 1982, "Image analysis and mathematical morphology"):
thin, and lighter or darker than all around it, far more than what else is thin there.

Shapes: C channels, H and W height and width, N lines, P 2 polarities.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_LINES_AROUND = 4
"""Lines on each side that a line is compared with: so many, less one, may be broken side by side."""
_LINE_DEVIATIONS, _LINE_STEP, _LINE_SHARE = 8.0, 0.02, 0.25

_SPECK_RADIUS = 3
"""Half the width of the widest dust, in pixels."""
_AROUND = 8
"""How far around it nothing is as light or as dark."""
_SPECK_STEP, _SPECK_FACTOR = 0.15, 2.5
_BLOCK = 32
"""Side of the parts of an image whose texture is measured, in pixels."""
_TEXTURE_SHARE = 0.9
"""So much of a part is scene for sure: dust is on less of it."""


def scan_lines(image_CHW: Tensor) -> Tensor:
    """HW, bool: rows that do not belong between their neighbours, all of their pixels."""
    height, width = image_CHW.shape[-2:]
    return _broken_lines(image_CHW)[:, None].expand(height, width)


def dead_columns(image_CHW: Tensor) -> Tensor:
    """HW, bool: the same for columns."""
    return scan_lines(image_CHW.mT).mT


def dust(image_CHW: Tensor) -> Tensor:
    """HW, bool: specks, hairs and scratches up to 7 pixels wide that show in every channel."""
    opened_CHW = _widened(_narrowed(image_CHW, _SPECK_RADIUS), _SPECK_RADIUS)
    closed_CHW = _narrowed(_widened(image_CHW, _SPECK_RADIUS), _SPECK_RADIUS)
    thin_PHW = torch.stack([image_CHW - opened_CHW, closed_CHW - image_CHW]).amin(dim=1)
    lonely_PHW = torch.stack(
        [image_CHW - _widened(opened_CHW, _AROUND), _narrowed(closed_CHW, _AROUND) - image_CHW]
    ).amin(dim=1)
    least_PHW = (_SPECK_FACTOR * _texture(thin_PHW)).clamp(min=_SPECK_STEP)
    found_PHW = (thin_PHW > least_PHW) & (lonely_PHW > _SPECK_STEP / 2)
    # The rim of a speck is less than half scene: it comes along.
    rim_PHW = thin_PHW > least_PHW / 2
    for _ in range(2 * _SPECK_RADIUS):
        found_PHW = rim_PHW & (_widened(found_PHW.to(thin_PHW), 1) > 0)
    return found_PHW.any(dim=0)


DETECTORS: dict[str, Callable[[Tensor], Tensor]] = {
    "scan_lines": scan_lines,
    "dead_columns": dead_columns,
    "dust": dust,
}
"""CHW fractions of the value range -> HW, true where there is a defect."""


def _widened(image_CHW: Tensor, radius: int) -> Tensor:
    """The largest value within a square around each pixel."""
    padded_1CHW = F.pad(image_CHW[None], (radius,) * 4, mode="replicate")
    return F.max_pool2d(padded_1CHW, 2 * radius + 1, stride=1)[0]


def _narrowed(image_CHW: Tensor, radius: int) -> Tensor:
    return -_widened(-image_CHW, radius)


def _texture(thin_PHW: Tensor) -> Tensor:
    """PHW: how strong the thin things of the scene are around each pixel."""
    height, width = thin_PHW.shape[-2:]
    padding = (0, -width % _BLOCK, 0, -height % _BLOCK)
    padded_PHW = F.pad(thin_PHW[None], padding, mode="replicate")[0]
    blocks = padded_PHW.unfold(1, _BLOCK, _BLOCK).unfold(2, _BLOCK, _BLOCK).flatten(3)
    strong = F.max_pool2d(blocks.quantile(_TEXTURE_SHARE, dim=-1)[None], 3, stride=1, padding=1)
    smooth_1PHW = F.interpolate(strong, size=padded_PHW.shape[-2:], mode="bilinear")
    return smooth_1PHW[0, :, :height, :width]


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
