"""Scores of a whole volume, as fastMRI computes them (Zbontar et al., arXiv:1811.08839, sec. 5.2).

The channels of an image are the slices of its volume: those of a NIfTI file or of a multi-frame DICOM
object. The full range is the largest value of the reference volume, not of the slice.

Shapes: B batch, C channels, which are slices, H and W height and width; h and w count window positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import PHYSICAL_ZERO, MetricInputs, MetricProtocol
from pipeline.metrics.box import box_sum
from pipeline.metrics.mse import mean_squared_error

_WINDOW = 7
_RANGE = "the largest valid value of the reference volume"
_COLOUR = f"every channel a slice; magnitudes; {PHYSICAL_ZERO}"
_SOURCE = "Zbontar et al., fastMRI, arXiv:1811.08839, sec. 5.2"


@dataclass(frozen=True)
class VolumePSNR:
    """Peak signal-to-noise ratio of the volume; NaN where the reference has no positive value."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="volume_psnr",
        formula="10 log10(range^2 / mean over all valid voxels of (restored - reference)^2)",
        colour=_COLOUR,
        border="scale",
        data_range=_RANGE,
        unit="dB",
        higher_is_better=True,
        best=float("inf"),
        source=_SOURCE,
        pair=MetricInputs.PHYSICAL,
        version=2,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        error_B = mean_squared_error(restored_BCHW, reference_BCHW, valid_B1HW)
        return 10 * (_peak(reference_BCHW, valid_B1HW).square() / error_B).log10()


@dataclass(frozen=True)
class VolumeSSIM:
    """Mean structural similarity of the slices; NaN without a positive value or under 7 x 7 pixels."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="volume_ssim",
        formula=(
            "mean over slices of the mean ssim of the slice; sample (co)variance, C1 = (0.01 range)^2, "
            "C2 = (0.03 range)^2"
        ),
        colour=_COLOUR,
        border="scale",
        data_range=_RANGE,
        unit="1",
        higher_is_better=True,
        best=1.0,
        source=_SOURCE,
        pair=MetricInputs.PHYSICAL,
        version=2,
        window="uniform 7 x 7; positions wholly inside the slice and the valid mask",
        minimum_size=_WINDOW,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        if min(reference_BCHW.shape[-2:]) < _WINDOW:
            return valid.undefined(reference_BCHW)
        peak_B = _peak(reference_BCHW, valid_B1HW)
        restored_BCHW = valid.blanked(restored_BCHW, valid_B1HW)
        reference_BCHW = valid.blanked(reference_BCHW, valid_B1HW)
        whole_B1hw = valid.whole_windows(valid_B1HW, _WINDOW)
        slices = zip(restored_BCHW.unbind(1), reference_BCHW.unbind(1), strict=True)
        of_slices = [
            valid.mean(_similarity(x_BHW[:, None].double(), y_BHW[:, None].double(), peak_B), whole_B1hw)
            for x_BHW, y_BHW in slices
        ]
        return torch.stack(of_slices).mean(dim=0)


@dataclass(frozen=True)
class VolumeNMSE:
    """Squared error over the power of the reference; NaN where the reference is zero."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="volume_nmse",
        formula="sum over all valid voxels of (restored - reference)^2 / sum of reference^2",
        colour=_COLOUR,
        border="scale",
        data_range="none: a ratio",
        unit="1",
        higher_is_better=False,
        best=0.0,
        source=_SOURCE,
        pair=MetricInputs.PHYSICAL,
        version=2,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        power_B = valid.mean(valid.blanked(reference_BCHW, valid_B1HW).square(), valid_B1HW)
        error_B = mean_squared_error(restored_BCHW, reference_BCHW, valid_B1HW)
        return error_B / power_B.where(power_B > 0, torch.nan)


def _similarity(x_B1HW: Tensor, y_B1HW: Tensor, peak_B: Tensor) -> Tensor:
    """Wang et al. 2004, eq. 13, on uniform windows with sample (co)variance: B1hw."""

    def mean(plane_B1HW: Tensor) -> Tensor:
        return box_sum(plane_B1HW, _WINDOW, _WINDOW) / _WINDOW**2

    peak_B111 = peak_B[:, None, None, None]
    c1, c2 = (0.01 * peak_B111).square(), (0.03 * peak_B111).square()
    sample = _WINDOW**2 / (_WINDOW**2 - 1)
    mx, my = mean(x_B1HW), mean(y_B1HW)
    variances = sample * (mean(x_B1HW.square()) + mean(y_B1HW.square()) - mx.square() - my.square())
    covariance = sample * (mean(x_B1HW * y_B1HW) - mx * my)
    similarity = (2 * mx * my + c1) * (2 * covariance + c2)
    return similarity / ((mx.square() + my.square() + c1) * (variances + c2))


def _peak(reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    """Largest valid value of each volume, NaN where none is positive: (B,) float64."""
    if not reference_BCHW.numel():
        return valid.undefined(reference_BCHW)
    peak_B = valid.blanked(reference_BCHW, valid_B1HW, -torch.inf).amax(dim=(1, 2, 3)).double()
    return peak_B.where(peak_B > 0, torch.nan)
