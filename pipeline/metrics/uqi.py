"""Universal image quality index (Wang and Bovik 2002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, PHYSICAL_ZERO, MetricInputs, MetricProtocol
from pipeline.metrics.box import box_sum

_SIZE = 8
_FLAT = 1e-14
"""Variances below count as 0: a hundredth of what one 16-bit step in one of 64 pixels makes."""


@dataclass(frozen=True)
class UQI:
    """Universal quality index; NaN for images under 8 x 8."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="uqi",
        formula=(
            "mean over window positions, then channels, of 4 cov mx my / ((vx + vy)(mx^2 + my^2)); where "
            "both variances are 0, of 2 mx my / (mx^2 + my^2); where both means are 0 too, 1"
        ),
        colour=ALL_CHANNELS,
        border="scale",
        data_range=f"none: a ratio; {PHYSICAL_ZERO}",
        unit="1",
        higher_is_better=True,
        best=1.0,
        source="Wang and Bovik, IEEE Signal Processing Letters 9(3), 2002, and its reference code",
        minimum_size=_SIZE,
        window="uniform 8 x 8; positions wholly inside the image and the valid mask",
        pair=MetricInputs.PHYSICAL,
        version=2,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64. Works in float64: without SSIM's constants nothing hides a rounding error."""
        if min(reference_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(reference_BCHW)
        x_BCHW = valid.blanked(restored_BCHW, valid_B1HW).double()
        y_BCHW = valid.blanked(reference_BCHW, valid_B1HW).double()
        x_mean, y_mean = _mean(x_BCHW), _mean(y_BCHW)
        variances = _mean(x_BCHW.square() + y_BCHW.square()) - x_mean.square() - y_mean.square()
        covariance = _mean(x_BCHW * y_BCHW) - x_mean * y_mean
        luminance = _ratio(2 * x_mean * y_mean, x_mean.square() + y_mean.square())
        structure = _ratio(2 * covariance, variances)
        return valid.mean(luminance * structure, valid.whole_windows(valid_B1HW, _SIZE))


def _mean(image_BCHW: Tensor) -> Tensor:
    return box_sum(image_BCHW, _SIZE, _SIZE) / _SIZE**2


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """1 where there is nothing to compare, as in the authors' code."""
    flat = below <= _FLAT
    return torch.where(flat, 1.0, above / below.where(~flat, 1.0))
