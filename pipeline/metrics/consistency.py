"""Consistency: does the restored image, degraded again, give the input back? No reference is needed.

Shapes: B batch, C channels, H and W height and width of the degraded input, t the side of a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricProtocol, Pair
from pipeline.metrics.mse import mean_squared_error

_TILE = 32
_AGAIN = (
    "again: the restored image through the degradation's own blur, resampling, compression, haze and mask; "
    "noise is not repeated, so that noise of standard deviation s in the input leaves about s; NaN where "
    "the degradation draws in any other way (second-order chains, Rician noise, salt and pepper)"
)
_SOURCE = "data residual ||A x - y||; the reduced-resolution consistency of Wald et al., PE&RS 63(6), 1997"


@dataclass(frozen=True)
class Consistency:
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
        pair=Pair.INPUT,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; the images are those of ``Pair.INPUT``."""
        return mean_squared_error(restored_BCHW, reference_BCHW, valid_B1HW).sqrt()


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
        pair=Pair.INPUT,
        window=(
            f"tiles of {_TILE} x {_TILE} pixels of the input (or its whole height or width where that is "
            "less), side by side, the last ones moved inside; tiles less than half known do not count"
        ),
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; the images are those of ``Pair.INPUT``."""
        if min(reference_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(reference_BCHW)
        residual_BCHW = valid.blanked(restored_BCHW - reference_BCHW, valid_B1HW)
        squared_Bhw = _tile_means(residual_BCHW.square().double().mean(dim=1))
        if valid_B1HW is None:
            return squared_Bhw.flatten(1).amax(dim=1).sqrt()
        known_Bhw = _tile_means(valid_B1HW[:, 0].double())
        worst_B = (squared_Bhw / known_Bhw).where(known_Bhw >= 0.5, -torch.inf).flatten(1).amax(dim=1)
        return worst_B.where(worst_B >= 0, torch.nan).sqrt()


def _tile_means(plane_BHW: Tensor) -> Tensor:
    """(B, rows of tiles, columns of tiles)."""
    for dim in (1, 2):
        length = plane_BHW.shape[dim]
        tile = min(_TILE, length)
        origin_n = torch.tensor([*range(0, length - tile, tile), length - tile], device=plane_BHW.device)
        place_nt = origin_n[:, None] + torch.arange(tile, device=plane_BHW.device)
        shape = (*plane_BHW.shape[:dim], *place_nt.shape, *plane_BHW.shape[dim + 1 :])
        plane_BHW = plane_BHW.index_select(dim, place_nt.flatten()).reshape(shape).mean(dim=dim + 1)
    return plane_BHW
