"""Equivalent number of looks: how smooth a radar intensity image is where nothing but speckle changes it.

Shapes: B batch, C channels, H and W height and width, K bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.accumulating import Section, Summed
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricInputs, MetricProtocol

_BLOCK = 16
_STEP = 0.05
_LEAST, _BINS = math.log(1e-2), 461
"""Bins of the logarithm of a block's looks: 5 % each, from 0.01 to 10^8."""


@dataclass(frozen=True)
class ENL(Summed):
    """Median over blocks of mean squared over variance; NaN under 16 x 16 and where every block is flat."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="enl",
        formula=(
            "median over blocks and channels of mean^2 / variance (of n samples, divided by n - 1), by "
            "bins of 5 % with a straight line inside; blocks that are flat, or whose mean is not above 0, "
            "do not count"
        ),
        colour=ALL_CHANNELS,
        border="0",
        data_range=f"zero is the low end of the range, which must be no backscatter; {FULL_RANGE}",
        unit="looks",
        higher_is_better=True,
        best=math.inf,
        source="Oliver and Quegan 1998, Understanding synthetic aperture radar images, section 4.3",
        minimum_size=_BLOCK,
        window="blocks of 16 x 16 from the upper left corner, wholly valid",
        pair=MetricInputs.ALONE,
    )
    grid: ClassVar[int] = _BLOCK
    reach: ClassVar[int] = 0

    def part(
        self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None, section: Section
    ) -> Tensor:
        """(B, K): blocks of the section in each bin."""
        blocks = section.cut(*(side // _BLOCK * _BLOCK for side in section.size))
        if blocks.is_empty:
            return restored_BCHW.new_zeros(len(restored_BCHW), _BINS, dtype=torch.float64)
        samples = _blocks(blocks.around(valid.blanked(restored_BCHW, valid_B1HW), 0).double())
        mean, variance = samples.mean(dim=-1), samples.var(dim=-1)
        counts = (variance > 0) & (mean > 0)
        if valid_B1HW is not None:
            counts &= _blocks(blocks.around(valid_B1HW, 0).bool()).all(dim=-1)
        place = (
            ((2 * mean.log() - variance.log() - _LEAST) / _STEP).nan_to_num(0.0).long().clamp(0, _BINS - 1)
        )
        part_BK = restored_BCHW.new_zeros(len(restored_BCHW), _BINS, dtype=torch.float64)
        return part_BK.scatter_add_(1, place.flatten(1), counts.double().flatten(1))

    def score(self, part_BK: Tensor) -> Tensor:
        """(B,): NaN where no block counts."""
        total_B, below_BK = part_BK.sum(dim=1), part_BK.cumsum(dim=1)
        half_B1 = total_B[:, None] / 2
        place_B1 = (below_BK < half_B1).sum(dim=1, keepdim=True).clamp_max(_BINS - 1)
        inside_B1 = part_BK.gather(1, place_B1)
        share_B1 = (half_B1 - (below_BK.gather(1, place_B1) - inside_B1)) / inside_B1
        return (_LEAST + _STEP * (place_B1 + share_B1)).exp()[:, 0].where(total_B > 0, torch.nan)


def _blocks(image_BCHW: Tensor) -> Tensor:
    """(B, C, rows, columns, samples of a block)."""
    cut = image_BCHW.unfold(2, _BLOCK, _BLOCK).unfold(3, _BLOCK, _BLOCK)
    return cut.flatten(-2)
