"""Scores of a whole volume, as fastMRI computes them (Zbontar et al., arXiv:1811.08839, sec. 5.2).

The full range is the largest value of the reference volume, so that no score can be made before all of
its slices are there; slices of one volume are never averaged with those of another.

Shapes: S slices, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from pipeline.metrics.base import MetricProtocol
from pipeline.metrics.box import box_sum

_WINDOW = 7
_RANGE = "the largest value of the reference volume"
_COLOUR = "magnitude, in physical units"
_SOURCE = "Zbontar et al., fastMRI, arXiv:1811.08839, sec. 5.2"


def volume_nmse(restored_SHW: Tensor, reference_SHW: Tensor) -> float:
    """``|restored - reference|^2 / |reference|^2``; NaN where the reference is zero."""
    restored_SHW, reference_SHW = _checked(restored_SHW, reference_SHW)
    power = reference_SHW.square().sum()
    return float((restored_SHW - reference_SHW).square().sum() / power.where(power > 0, float("nan")))


def volume_psnr(restored_SHW: Tensor, reference_SHW: Tensor) -> float:
    """dB; infinite for identical volumes, NaN where the reference has no positive value."""
    restored_SHW, reference_SHW = _checked(restored_SHW, reference_SHW)
    error = (restored_SHW - reference_SHW).square().mean()
    return float(10 * (_peak(reference_SHW).square() / error).log10())


def volume_ssim(restored_SHW: Tensor, reference_SHW: Tensor) -> float:
    """Mean over slices; NaN where the reference has no positive value or slices are under 7 x 7."""
    restored_SHW, reference_SHW = _checked(restored_SHW, reference_SHW)
    peak = _peak(reference_SHW)
    if min(reference_SHW.shape[-2:]) < _WINDOW:
        return float("nan")
    pairs = zip(restored_SHW, reference_SHW, strict=True)
    return float(sum(_slice_ssim(x_HW, y_HW, peak) for x_HW, y_HW in pairs) / len(reference_SHW))


def _slice_ssim(x_HW: Tensor, y_HW: Tensor, peak: Tensor) -> Tensor:
    """Wang et al. 2004, eq. 13, on uniform windows with sample (co)variance."""

    def mean(plane_HW: Tensor) -> Tensor:
        return box_sum(plane_HW[None, None], _WINDOW, _WINDOW) / _WINDOW**2

    c1, c2 = (0.01 * peak).square(), (0.03 * peak).square()
    sample = _WINDOW**2 / (_WINDOW**2 - 1)
    mx, my = mean(x_HW), mean(y_HW)
    variances = sample * (mean(x_HW.square()) + mean(y_HW.square()) - mx.square() - my.square())
    covariance = sample * (mean(x_HW * y_HW) - mx * my)
    similarity = (2 * mx * my + c1) * (2 * covariance + c2)
    return (similarity / ((mx.square() + my.square() + c1) * (variances + c2))).mean()


def _checked(restored_SHW: Tensor, reference_SHW: Tensor) -> tuple[Tensor, Tensor]:
    if restored_SHW.shape != reference_SHW.shape or reference_SHW.ndim != 3 or not len(reference_SHW):
        raise ValueError(
            f"volumes of {tuple(restored_SHW.shape)} and {tuple(reference_SHW.shape)}; "
            "give two stacks of the same slices, S x H x W"
        )
    return restored_SHW.double(), reference_SHW.double()


def _peak(reference_SHW: Tensor) -> Tensor:
    peak = reference_SHW.max()
    return peak.where(peak > 0, float("nan"))


VolumeMetric = Callable[[Tensor, Tensor], float]

VOLUME_METRICS: dict[str, tuple[VolumeMetric, MetricProtocol]] = {
    "volume_psnr": (
        volume_psnr,
        MetricProtocol(
            name="volume_psnr",
            formula="10 log10(range^2 / mean over all voxels of (restored - reference)^2)",
            colour=_COLOUR,
            border="0",
            data_range=_RANGE,
            unit="dB",
            higher_is_better=True,
            best=float("inf"),
            source=_SOURCE,
        ),
    ),
    "volume_ssim": (
        volume_ssim,
        MetricProtocol(
            name="volume_ssim",
            formula=(
                "mean over slices of the mean ssim of the slice; sample (co)variance, C1 = (0.01 range)^2, "
                "C2 = (0.03 range)^2"
            ),
            colour=_COLOUR,
            border="0",
            data_range=_RANGE,
            unit="1",
            higher_is_better=True,
            best=1.0,
            source=_SOURCE,
            window="uniform 7 x 7; positions wholly inside the slice",
            minimum_size=_WINDOW,
        ),
    ),
    "volume_nmse": (
        volume_nmse,
        MetricProtocol(
            name="volume_nmse",
            formula="sum over all voxels of (restored - reference)^2 / sum of reference^2",
            colour=_COLOUR,
            border="0",
            data_range="none: a ratio",
            unit="1",
            higher_is_better=False,
            best=0.0,
            source=_SOURCE,
        ),
    ),
}
"""Functions of two stacks of slices, each with its protocol. Not yet columns of a run: that needs volumes."""
