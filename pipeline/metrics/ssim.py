"""Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004), of all channels and of luma.

Shapes: B batch, C channels, H and W height and width; h and w count window positions, P = B C planes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.metrics import luma, valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricProtocol
from pipeline.metrics.moments import LocalMoments, local_moments, shared_mean
from pipeline.metrics.window import gaussian

WINDOW = gaussian(11, 1.5)
WINDOW_TEXT = "Gaussian 11 x 11, sigma 1.5; positions wholly inside the image and the valid mask"
_C1 = 0.01**2
_C2 = 0.03**2
_FORMULA = (
    "mean over window positions, then channels, of (2 mx my + C1)(2 cov + C2) / ((mx^2 + my^2 + C1)"
    "(vx + vy + C2)); population (co)variance, C1 = 0.01^2, C2 = 0.03^2"
)
_PIXELS_AT_ONCE = {"cpu": 2**18, "cuda": 2**24}  # on a CPU what stays in the cache


@dataclass(frozen=True)
class SSIM:
    """Structural similarity; NaN for images under 11 x 11."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="ssim",
        formula=_FORMULA,
        colour=ALL_CHANNELS,
        border="scale",
        data_range=FULL_RANGE,
        unit="1",
        higher_is_better=True,
        best=1.0,
        source="Wang et al., IEEE TIP 13(4), 2004, sec. III",
        minimum_size=WINDOW.size,
        window=WINDOW_TEXT,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        return mean_similarity(restored_BCHW, reference_BCHW, valid_B1HW).mean(dim=1)


@dataclass(frozen=True)
class SSIMY:
    """Structural similarity of luma; NaN where the image has neither 1 nor 3 channels."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="ssim_y",
        formula=_FORMULA,
        colour=luma.STUDIO,
        border="scale",
        data_range=FULL_RANGE,
        unit="1",
        higher_is_better=True,
        best=1.0,
        source="Wang et al., IEEE TIP 13(4), 2004, sec. III; luma as in Set5 tables",
        minimum_size=WINDOW.size,
        window=WINDOW_TEXT,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        if not luma.has_studio_luma(reference_BCHW):
            return valid.undefined(reference_BCHW)
        planes = luma.studio_luma(restored_BCHW), luma.studio_luma(reference_BCHW)
        return mean_similarity(*planes, valid_B1HW).mean(dim=1)


def mean_similarity(
    restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None, *, luminance: bool = True
) -> Tensor:
    """Mean structural similarity of each channel: (B, C) float64.

    Without ``luminance`` it is the mean of the contrast-structure factor alone. NaN for images smaller
    than the window and where no window is wholly valid.
    """
    batch, channels, height, width = reference_BCHW.shape
    if min(height, width) < WINDOW.size:
        return valid.undefined(reference_BCHW)[:, None].expand(batch, channels)
    mean_BC = shared_mean(reference_BCHW, valid_B1HW)
    restored_BCHW = valid.blanked(restored_BCHW, valid_B1HW, mean_BC[..., None, None])
    reference_BCHW = valid.blanked(reference_BCHW, valid_B1HW, mean_BC[..., None, None])
    whole_B1hw = valid.whole_windows(valid_B1HW, WINDOW.size)
    sums_BC = torch.zeros_like(mean_BC, dtype=torch.float64)
    for images, rows, taken in _pieces(reference_BCHW):
        pair = restored_BCHW[images, :, taken], reference_BCHW[images, :, taken]
        map_hPw = _similarity(local_moments(*pair, mean_BC[images], WINDOW), luminance)
        whole_Bhw = None if whole_B1hw is None else whole_B1hw[images, 0, rows]
        sums_BC[images] += _plane_sums(map_hPw, whole_Bhw, channels)
    positions_BChw = reference_BCHW[:, :, WINDOW.size - 1 :, WINDOW.size - 1 :]
    return sums_BC / valid.pixel_count(positions_BChw, whole_B1hw)[..., None]


def _similarity(moments: LocalMoments, luminance: bool) -> Tensor:
    """Wang et al., eq. 13, in terms of sum and difference; consumes the moments.

    4 mx my = ms^2 - md^2, 2 (mx^2 + my^2) = ms^2 + md^2, and the same for covariance and variances.
    """
    s, d = moments.sum_variance.add_(2 * _C2), moments.difference_variance
    above_hPw, below_hPw = torch.sub(s, d), s.add_(d)
    if luminance:
        s = torch.addcmul(s.new_tensor(2 * _C1), moments.sum_mean, moments.sum_mean, out=moments.sum_mean)
        d = moments.difference_mean.square_()
        above_hPw.mul_(torch.sub(s, d))
        below_hPw.mul_(s.add_(d))
    return above_hPw.div_(below_hPw)


def _plane_sums(map_hPw: Tensor, whole_Bhw: Tensor | None, channels: int) -> Tensor:
    """Sums over the wholly valid windows: (B, C) float64."""
    height, _, width = map_hPw.shape
    map_hBCw = map_hPw.view(height, -1, channels, width)
    if whole_Bhw is not None:
        map_hBCw = map_hBCw.where(whole_Bhw.transpose(0, 1)[:, :, None], 0.0)
    return map_hBCw.sum(dim=-1).sum(dim=0, dtype=torch.float64)


def _pieces(image_BCHW: Tensor) -> Iterator[tuple[slice, slice, slice]]:
    """Images, rows of window positions, and the rows of pixels under them, as many as fit at once."""
    batch, channels, height, width = image_BCHW.shape
    pixels = _PIXELS_AT_ONCE.get(image_BCHW.device.type, 2**18)
    halo = WINDOW.size - 1
    row_count = max(32, pixels // (channels * width) - halo)
    image_count = max(1, pixels // (channels * height * width)) if row_count >= height - halo else 1
    for image in range(0, batch, image_count):
        for row in range(0, height - halo, row_count):
            stop = min(row + row_count, height - halo)
            yield slice(image, image + image_count), slice(row, stop), slice(row, stop + halo)
