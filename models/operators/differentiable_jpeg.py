"""JPEG as a differentiable function, for training through compression.

The steps of baseline JPEG (ITU-T T.81) on tensors; only the rounding of the coefficients is replaced by
``round(x) + (x - round(x))^3``, which has a gradient (Shin and Song 2017).

Shapes: B batch, C channels, H and W height and width, N blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.parameters import Checked, choice, number

# ITU-T T.81, tables K.1 and K.2.
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99), (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)  # fmt: skip
# JFIF: full-range YCbCr of BT.601, chroma without its offset of 128.
_TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)  # fmt: skip


@dataclass(frozen=True)
class DifferentiableJpeg(Checked):
    """JPEG with gradients, on any device: close to ``jpeg`` of the same quality, not equal to it.

    Three channels are coded as RGB; any other number band by band, as grey. The result is not clipped.
    """

    name: ClassVar[str] = "differentiable_jpeg"

    quality: float = number(low=1, high=100)
    """libjpeg's quality, in [1, 100]; need not be whole."""
    subsampling: str = choice("4:2:0", "4:4:4")
    """Of the chroma of RGB images: "4:2:0" or "4:4:4"."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The decoded image, same shape."""
        return coded(image_BCHW, image_BCHW.new_tensor([self.quality]), self.subsampling)


def coded(image_BCHW: Tensor, quality_B: Tensor, subsampling: str) -> Tensor:
    """Each image in a quality of its own; one quality serves all."""
    levels_BCHW = image_BCHW * 255
    luma, chroma = (_steps(image_BCHW, quality_B, table) for table in (LUMINANCE, CHROMINANCE))
    if image_BCHW.shape[1] != 3:
        return (_quantised(levels_BCHW - 128, luma) + 128) / 255
    to_ycbcr = image_BCHW.new_tensor(_TO_YCBCR)
    ycbcr_BCHW = torch.einsum("kc,bchw->bkhw", to_ycbcr, levels_BCHW)
    luma_B1HW = _quantised(ycbcr_BCHW[:, :1] - 128, luma) + 128
    ycbcr_BCHW = torch.cat([luma_B1HW, _chroma(ycbcr_BCHW[:, 1:], chroma, subsampling)], dim=1)
    rgb_BCHW = torch.einsum("ck,bkhw->bchw", torch.linalg.inv(to_ycbcr), ycbcr_BCHW)
    return rgb_BCHW.contiguous() / 255


def _chroma(chroma_B2HW: Tensor, steps: Tensor, subsampling: str) -> Tensor:
    if subsampling == "4:4:4":
        return _quantised(chroma_B2HW, steps)
    height, width = chroma_B2HW.shape[2:]
    even_B2HW = F.pad(chroma_B2HW, (0, width % 2, 0, height % 2), mode="replicate")
    coded_B2hw = _quantised(F.avg_pool2d(even_B2HW, 2), steps)
    enlarged = F.interpolate(coded_B2hw, scale_factor=2.0, mode="bilinear", align_corners=False)
    return enlarged[..., :height, :width]


def _quantised(planes_BCHW: Tensor, steps: Tensor) -> Tensor:
    """Planes through transform, quantisation and back, in blocks of 8 x 8."""
    batch, channels, height, width = planes_BCHW.shape
    padded = F.pad(planes_BCHW, (0, -width % 8, 0, -height % 8), mode="replicate")
    rows, columns = padded.shape[2] // 8, padded.shape[3] // 8
    blocks_N88 = padded.reshape(batch, channels, rows, 8, columns, 8).transpose(3, 4)
    transform = _cosines(padded)
    coefficients_N88 = transform @ blocks_N88 @ transform.T / steps
    rounded_N88 = coefficients_N88.detach().round()
    rounded_N88 = rounded_N88 + (coefficients_N88 - rounded_N88) ** 3
    blocks_N88 = transform.T @ (rounded_N88 * steps) @ transform
    return blocks_N88.transpose(3, 4).reshape(padded.shape)[..., :height, :width]


def _steps(like: Tensor, quality_B: Tensor, table: tuple[tuple[int, ...], ...]) -> Tensor:
    """libjpeg's scaling of the tables by quality: B1 1 1 88, for blocks of B C rows columns 88."""
    percent_B = torch.where(quality_B < 50, 5000 / quality_B, 200 - 2 * quality_B)
    percent = percent_B[:, None, None, None, None, None]
    return ((like.new_tensor(table) * percent + 50) / 100).floor().clamp(1, 255)


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal DCT-II of 8 samples."""
    k_81 = torch.arange(8, dtype=torch.float64)[:, None]
    n_18 = torch.arange(8, dtype=torch.float64)[None, :]
    matrix = torch.cos(math.pi * (2 * n_18 + 1) * k_81 / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix.to(like)
