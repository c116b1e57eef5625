"""Consistency: does the restored image, degraded again, give the input back? No reference is needed.

Shapes: B batch, C channels, H and W height and width of the degraded input, t the side of a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.accumulating import Range, Section, Summed
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricInputs, MetricProtocol

_TILE = 32
_AGAIN = (
    "again: the restored image through the degradation's own blur, resampling, compression, haze and mask; "
    "noise is not repeated, so that noise of standard deviation s in the input leaves about s; NaN where "
    "the degradation draws in any other way (second-order chains, Rician noise, salt and pepper); in a "
    "restore run, where no degradation is known, the restored image itself, or what MATLAB bicubic with "
    "antialiasing makes of it at the input's size where it is larger (only pixels of which all that this "
    "looks at holds data are known then)"
)
_SOURCE = "data residual ||A x - y||; the reduced-resolution consistency of Wald et al., PE&RS 63(6), 1997"


@dataclass(frozen=True)
class Consistency(Summed):
    """Root mean square of the data residual over the whole image."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="consistency",
        formula=f"sqrt(mean over known pixels and channels of (again - input)^2); {_AGAIN}",
        colour=ALL_CHANNELS,
        border="0",
        data_range=FULL_RANGE,
        unit="fraction of the data range",
        higher_is_better=False,
        best=0.0,
        source=_SOURCE,
        pair=MetricInputs.INPUT,
    )
    grid: ClassVar[int] = 1
    reach: ClassVar[int] = 0

    def part(
        self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None, section: Section
    ) -> Tensor:
        """(B, 2): known samples, and the sum of their squared residuals."""
        again_BCHW, input_BCHW = (section.around(each, 0) for each in (restored_BCHW, reference_BCHW))
        known_B1HW = None if valid_B1HW is None else section.around(valid_B1HW, 0)
        squared_BCHW = F.mse_loss(again_BCHW, input_BCHW, reduction="none")
        sum_B = valid.blanked(squared_BCHW, known_B1HW).sum(dim=(1, 2, 3), dtype=torch.float64)
        count_B = valid.pixel_count(squared_BCHW, known_B1HW) * squared_BCHW.shape[1]
        return torch.stack([count_B.to(sum_B.device).expand_as(sum_B), sum_B], dim=1)

    def score(self, part_BK: Tensor) -> Tensor:
        """(B,): NaN where no pixel is known."""
        return (part_BK[:, 1] / part_BK[:, 0]).sqrt()


@dataclass(frozen=True)
class ConsistencyWorstTile:
    """The largest root mean square of the data residual over any tile: where something was made up."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="consistency_worst_tile",
        formula=(
            "largest, over tiles, of sqrt(mean over the tile's known pixels and channels of "
            f"(again - input)^2); {_AGAIN}"
        ),
        colour=ALL_CHANNELS,
        border="0",
        data_range=FULL_RANGE,
        unit="fraction of the data range",
        higher_is_better=False,
        best=0.0,
        source=_SOURCE,
        pair=MetricInputs.INPUT,
        window=(
            f"tiles of {_TILE} x {_TILE} pixels of the input (or its whole height or width where that is "
            "less), side by side, the last ones moved inside; tiles less than half known do not count"
        ),
    )
    grid: ClassVar[int] = _TILE
    reach: ClassVar[int] = 0

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; the images are those of ``MetricInputs.INPUT``."""
        if min(reference_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(reference_BCHW)
        whole = Section.whole(reference_BCHW)
        return self.score(self.part(restored_BCHW, reference_BCHW, valid_B1HW, whole))

    def part(
        self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None, section: Section
    ) -> Tensor:
        """(B, 1): the largest mean square of a tile that begins in the section; -inf where none counts."""
        residual_BCHW = valid.blanked(restored_BCHW - reference_BCHW, valid_B1HW)
        squared_Bhw = _tile_means(residual_BCHW.square().double().mean(dim=1), section)
        if valid_B1HW is not None:
            known_Bhw = _tile_means(valid_B1HW[:, 0].double(), section)
            squared_Bhw = (squared_Bhw / known_Bhw).where(known_Bhw >= 0.5, -torch.inf)
        return squared_Bhw.flatten(1).amax(dim=1, keepdim=True)

    def merged(self, first_BK: Tensor, second_BK: Tensor) -> Tensor:
        """(B, 1): the larger one."""
        return torch.maximum(first_BK, second_BK)

    def score(self, part_BK: Tensor) -> Tensor:
        """(B,): NaN where no tile counts."""
        worst_B = part_BK[:, 0]
        return worst_B.where(worst_B >= 0, torch.nan).sqrt()


def _tile_means(plane_BHW: Tensor, section: Section) -> Tensor:
    """(B, rows of tiles, columns of tiles)."""
    ranges = section.rows, section.columns
    for dim, side, length, start in zip((1, 2), ranges, section.size, section.origin, strict=True):
        place_nt = _tile_pixels(side, length).to(plane_BHW.device) - start
        shape = (*plane_BHW.shape[:dim], *place_nt.shape, *plane_BHW.shape[dim + 1 :])
        plane_BHW = plane_BHW.index_select(dim, place_nt.flatten()).reshape(shape).mean(dim=dim + 1)
    return plane_BHW


def _tile_pixels(side: Range, length: int) -> Tensor:
    """(tiles that begin in a range, t): their rows or columns, of ``length`` in all."""
    tile = min(_TILE, length)
    origin_n = torch.arange(*side, tile).clamp_max(length - tile)
    return origin_n[:, None] + torch.arange(tile)
