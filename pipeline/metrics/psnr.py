"""Peak signal-to-noise ratio, of all channels and of luma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pipeline.metrics import luma, valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricProtocol
from pipeline.metrics.mse import mean_squared_error


@dataclass(frozen=True)
class PSNR:
    """Peak signal-to-noise ratio; identical images score infinity, never a stand-in such as 80 dB."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="psnr",
        formula="-10 log10(mse), the squared error averaged over valid pixels and channels together",
        colour=ALL_CHANNELS,
        border="scale",
        data_range=FULL_RANGE,
        unit="dB",
        higher_is_better=True,
        best=float("inf"),
        source="definition",
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        return mean_squared_error(restored_BCHW, reference_BCHW, valid_B1HW).log10().mul_(-10.0)


@dataclass(frozen=True)
class PSNRY:
    """Peak signal-to-noise ratio of luma; NaN where the image has neither 1 nor 3 channels."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="psnr_y",
        formula="-10 log10(mse of luma over valid pixels)",
        colour=luma.STUDIO,
        border="scale",
        data_range=FULL_RANGE,
        unit="dB",
        higher_is_better=True,
        best=float("inf"),
        source="definition; convention of Set5 tables since Timofte et al. 2014",
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        if not luma.has_studio_luma(reference_BCHW):
            return valid.undefined(reference_BCHW)
        planes = luma.studio_luma(restored_BCHW), luma.studio_luma(reference_BCHW)
        return mean_squared_error(*planes, valid_B1HW).log10().mul_(-10.0)
