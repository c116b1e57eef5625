"""The ratio image of a despeckled one: pure speckle has a mean of 1, whatever is left out of it moves that.

Shapes: B batch, C channels, H and W height and width of the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.accumulating import Section, Summed
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricInputs, MetricProtocol

_DARK = 1e-6


@dataclass(frozen=True)
class RatioBias(Summed):
    """How far the mean of input over restored lies from 1: radiometry that a despeckler moved."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="ratio_bias",
        formula=(
            "|mean over known pixels and channels of input / again - 1|, where again is the restored image, "
            "degraded again without noise, as in consistency; samples of again of at most 1e-6 do not count"
        ),
        colour=ALL_CHANNELS,
        border="0",
        data_range=f"zero is the low end of the range, which must be no backscatter; {FULL_RANGE}",
        unit="1",
        higher_is_better=False,
        best=0.0,
        source="Oliver and Quegan 1998, section 6.4; Gomez, Ospina and Frery, Remote Sensing 9(4), 2017",
        pair=MetricInputs.INPUT,
    )
    grid: ClassVar[int] = 1
    reach: ClassVar[int] = 0

    def part(
        self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None, section: Section
    ) -> Tensor:
        """(B, 2): samples that count, and the sum of their ratios less 1."""
        again, given = (section.around(each, 0).double() for each in (restored_BCHW, reference_BCHW))
        known_B1HW = None if valid_B1HW is None else section.around(valid_B1HW, 0)
        # An image that could not be degraded again is NaN, and so is its score.
        bright = ~(valid.blanked(again, known_B1HW) <= _DARK)
        off = torch.where(bright, (given - again) / torch.where(bright, again, 1.0), 0.0)
        counts = valid.blanked(bright.double(), known_B1HW).sum(dim=(1, 2, 3))
        return torch.stack([counts, valid.blanked(off, known_B1HW).sum(dim=(1, 2, 3))], dim=1)

    def score(self, part_BK: Tensor) -> Tensor:
        """(B,): NaN where no sample counts."""
        return (part_BK[:, 1] / part_BK[:, 0]).abs()
