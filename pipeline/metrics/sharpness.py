"""Sharpness without a reference: the energy of the Laplacian.

Shapes: B batch, C channels, H and W height and width, K = 1 + 2 C numbers of a part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.accumulating import Section, Summed
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricInputs, MetricProtocol


@dataclass(frozen=True)
class Sharpness(Summed):
    """Standard deviation of the Laplacian; NaN under 3 x 3. Noise raises it just as detail does."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="sharpness",
        formula=(
            "sqrt(mean over channels of the variance, over pixels, of the restored image filtered by the "
            "4-neighbour Laplacian); noise raises it as detail does: read it beside a reference metric"
        ),
        colour=ALL_CHANNELS,
        border="scale",
        data_range=FULL_RANGE,
        unit="fraction of the data range",
        higher_is_better=True,
        best=float("inf"),
        source="Pech-Pacheco et al., ICPR 2000 (LAPV), square root",
        minimum_size=3,
        window="3 x 3; positions wholly inside the image and the valid mask",
        pair=MetricInputs.ALONE,
    )
    grid: ClassVar[int] = 1
    reach: ClassVar[int] = 1

    def part(
        self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None, section: Section
    ) -> Tensor:
        """(B, K): positions, then of each channel the sum of the Laplacian there, then of its squares."""
        batch, channels = restored_BCHW.shape[:2]
        x = section.around(restored_BCHW, self.reach)
        if min(x.shape[-2:]) < self.protocol.minimum_size:
            return restored_BCHW.new_zeros(batch, 1 + 2 * channels, dtype=torch.float64)
        valid_B1HW = None if valid_B1HW is None else section.around(valid_B1HW, self.reach)
        x = valid.blanked(x, valid_B1HW)
        whole_B1hw = valid.whole_windows(valid_B1HW, 3)
        neighbours = x[:, :, :-2, 1:-1] + x[:, :, 2:, 1:-1] + x[:, :, 1:-1, :-2] + x[:, :, 1:-1, 2:]
        laplacian_BChw = valid.blanked(neighbours - 4 * x[:, :, 1:-1, 1:-1], whole_B1hw).double()
        count_B = valid.pixel_count(laplacian_BChw, whole_B1hw).to(x.device).expand(batch)
        sums_BC = laplacian_BChw.sum(dim=(-2, -1))
        squares_BC = laplacian_BChw.square_().sum(dim=(-2, -1))
        return torch.cat([count_B[:, None], sums_BC, squares_BC], dim=1)

    def score(self, part_BK: Tensor) -> Tensor:
        """(B,): NaN where there is no position."""
        count_B1, sums_B2C = part_BK[:, :1], part_BK[:, 1:]
        mean_BC, power_BC = (sums_B2C / count_B1).chunk(2, dim=1)
        return (power_BC - mean_BC.square()).clamp_min(0).mean(dim=1).sqrt()
