"""Bias: whether a restorer keeps the radiometry, whatever it does to the detail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricProtocol


@dataclass(frozen=True)
class Bias:
    """Mean over channels of the absolute mean error, so that channels cannot make up for each other."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="bias",
        formula="mean over channels of |mean over valid pixels of (restored - reference)|",
        colour=ALL_CHANNELS,
        border="scale",
        data_range=FULL_RANGE,
        unit="fraction of the data range",
        higher_is_better=False,
        best=0.0,
        source="definition",
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        return valid.channel_mean(restored_BCHW - reference_BCHW, valid_B1HW).abs().mean(dim=1)
