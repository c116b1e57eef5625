"""ERGAS, the relative dimensionless global error of synthesis (Wald 2000)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, PHYSICAL_ZERO, MetricInputs, MetricProtocol

_RATIO = 4.0


@dataclass(frozen=True)
class ERGAS:
    """Root mean square over bands of the relative error; NaN where a band of the reference is black."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="ergas",
        formula="100 / ratio * sqrt(mean over bands of mse_band / mean(reference_band)^2), ratio = 4 always",
        colour=ALL_CHANNELS,
        border="scale",
        data_range=f"none: a ratio; {PHYSICAL_ZERO}",
        unit="percent",
        higher_is_better=False,
        best=0.0,
        source="Wald, Fusion of Earth Data, 2000; ratio of pan-sharpening, whatever the degradation's scale",
        parameters=(("ratio", _RATIO),),
        pair=MetricInputs.PHYSICAL,
        version=2,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        squared_BCHW = F.mse_loss(restored_BCHW, reference_BCHW, reduction="none")
        error_BC = valid.channel_mean(squared_BCHW, valid_B1HW)
        level_BC = valid.channel_mean(reference_BCHW, valid_B1HW)
        relative_BC = error_BC / level_BC.where(level_BC != 0, float("nan")).square()
        return relative_BC.mean(dim=1).sqrt().mul_(100.0 / _RATIO)
