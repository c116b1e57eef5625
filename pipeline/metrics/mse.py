"""Squared-error family: mean squared error, its root, and its root over the reference's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, PHYSICAL_ZERO, MetricInputs, MetricProtocol


def mean_squared_error(restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    """Over all channels and valid pixels: (B,) float64, fraction of the data range squared."""
    squared_BCHW = F.mse_loss(restored_BCHW, reference_BCHW, reduction="none")
    return valid.mean(squared_BCHW, valid_B1HW)


@dataclass(frozen=True)
class MSE:
    """Mean squared error."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="mse",
        formula="mean over valid pixels and channels of (restored - reference)^2",
        colour=ALL_CHANNELS,
        border="scale",
        data_range=FULL_RANGE,
        unit="squared fraction of the data range",
        higher_is_better=False,
        best=0.0,
        source="definition",
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        return mean_squared_error(restored_BCHW, reference_BCHW, valid_B1HW)


@dataclass(frozen=True)
class RMSE:
    """Root of the mean squared error."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="rmse",
        formula="sqrt(mse)",
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
        return mean_squared_error(restored_BCHW, reference_BCHW, valid_B1HW).sqrt()


@dataclass(frozen=True)
class NRMSE:
    """Root mean squared error over the root mean square of the reference; NaN where that is black."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="nrmse",
        formula="||restored - reference|| / ||reference|| (Euclidean norms over valid pixels and channels)",
        colour=ALL_CHANNELS,
        border="scale",
        data_range=f"none: a ratio; {PHYSICAL_ZERO}",
        unit="1",
        higher_is_better=False,
        best=0.0,
        source="definition; 'euclidean' in scikit-image, square root of fastMRI's NMSE",
        pair=MetricInputs.PHYSICAL,
        version=2,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        error_B = mean_squared_error(restored_BCHW, reference_BCHW, valid_B1HW)
        power_B = valid.mean(reference_BCHW.square(), valid_B1HW)
        return (error_B / power_B.where(power_B > 0, float("nan"))).sqrt()
