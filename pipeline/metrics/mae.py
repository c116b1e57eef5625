"""Mean absolute error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricProtocol


@dataclass(frozen=True)
class MAE:
    """Mean absolute error."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="mae",
        formula="mean over valid pixels and channels of |restored - reference|",
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
        return valid.mean(F.l1_loss(restored_BCHW, reference_BCHW, reduction="none"), valid_B1HW)
