"""Baseline JPEG there and back in whole numbers, on any device: what libjpeg makes of an image, bit for bit.

Nothing is written: entropy coding loses nothing, so that its bits are not needed to know the pixels. Each
step rounds as libjpeg (and libjpeg-turbo, which promises the same bits) does: the conversion of colours in 16
fractional bits, the "slow integer" transform of Loeffler, Ligtenberg and Moschytz (ICASSP 1989, figure 1) in
13, chroma averaged with a bias that alternates, and enlarged by the triangle filter.

Shapes: B images, C channels, P planes of all images, H and W height and width, h and w those of a plane, N
blocks of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.operators.differentiable_jpeg import CHROMINANCE, LUMINANCE
from models.operators.integer_cosines import to_frequencies, to_samples

SHARED = {"4:2:0": (2, 2), "4:2:2": (1, 2), "4:4:4": (1, 1)}
"""Pixels down and right that share a sample of chroma."""
_BLOCK = 8
_LEAST_SMOOTH = 3
"""Columns of chroma from which libjpeg interpolates; fewer are repeated."""


def through_baseline_jpeg(
    image_BCHW: Tensor, sizes: Sequence[tuple[int, int]], qualities: Sequence[int], subsampling: str
) -> Tensor:
    """Whole numbers 0 to 255 (int32) of images in the upper left corners of their canvases -> those decoded.

    Three channels are RGB, others grey, each coded alone.
    """
    device = image_BCHW.device
    size_B2 = torch.tensor(sizes, device=device)
    luma_B88, chroma_B88 = (_divisors(table, qualities, device) for table in (LUMINANCE, CHROMINANCE))
    batch, channels, height, width = image_BCHW.shape
    if channels != 3:
        planes_Phw = image_BCHW.flatten(0, 1)
        size_P2, steps_P88 = (each.repeat_interleave(channels, 0) for each in (size_B2, luma_B88))
        coded_Phw = _coded(planes_Phw, size_P2[:, 0], size_P2[:, 1], steps_P88)[:, :height, :width]
        return coded_Phw.reshape(image_BCHW.shape)
    down, right = SHARED[subsampling]
    y_BHW, *colours = _ycc(image_BCHW)
    y_BHW = _coded(y_BHW, size_B2[:, 0], size_B2[:, 1], luma_B88)[:, :height, :width]
    size_P2 = (size_B2 + size_B2.new_tensor([down - 1, right - 1])) // size_B2.new_tensor([down, right])
    whole = []
    for colour_BHW in colours:
        small_Bhw = _averaged(colour_BHW, size_B2, down, right)
        # Beyond the right edge pixels were repeated before, beyond the lower one samples of chroma are now.
        columns_B = size_P2.new_full((batch,), small_Bhw.shape[2])
        coded_Bhw = _coded(small_Bhw, size_P2[:, 0], columns_B, chroma_B88)
        whole.append(_enlarged(coded_Bhw, size_P2, down, right)[:, :height, :width])
    return _rgb(y_BHW, *whole)


def _divisors(table: tuple[tuple[int, ...], ...], qualities: Sequence[int], device: torch.device) -> Tensor:
    """B88 int32: the table's steps in each quality, as libjpeg scales them."""
    scales = [5000 // quality if quality < 50 else 200 - 2 * quality for quality in qualities]
    base_88 = torch.tensor(table, dtype=torch.int32)
    scale_B11 = torch.tensor(scales, dtype=torch.int32)[:, None, None]
    return ((base_88 * scale_B11 + 50) // 100).clamp(1, 255).to(device)


def _ycc(image_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r, g, b = image_BCHW.unbind(1)
    half, centre = 1 << 15, 128 << 16
    y = (19595 * r + 38470 * g + 7471 * b + half) >> 16
    cb = (-11059 * r - 21709 * g + 32768 * b + centre + half - 1) >> 16
    cr = (32768 * r - 27439 * g - 5329 * b + centre + half - 1) >> 16
    return y, cb, cr


def _rgb(y_BHW: Tensor, cb_BHW: Tensor, cr_BHW: Tensor) -> Tensor:
    cb, cr, half = cb_BHW - 128, cr_BHW - 128, 1 << 15
    red = y_BHW + ((91881 * cr + half) >> 16)
    green = y_BHW + ((-22554 * cb - 46802 * cr + half) >> 16)
    blue = y_BHW + ((116130 * cb + half) >> 16)
    return torch.stack([red, green, blue], 1).clamp_(0, 255)


def _taken(plane_Phw: Tensor, rows_Ph: Tensor, columns_Pw: Tensor) -> Tensor:
    planes_P11 = torch.arange(len(plane_Phw), device=plane_Phw.device)[:, None, None]
    return plane_Phw[planes_P11, rows_Ph[:, :, None], columns_Pw[:, None, :]]


def _places(count: int, limit_P: Tensor) -> Tensor:
    """0, 1 ... count - 1 for each plane, its own last one repeated."""
    places = torch.arange(count, device=limit_P.device)
    return torch.minimum(places[None], limit_P[:, None] - 1)


def _averaged(plane_BHW: Tensor, size_B2: Tensor, down: int, right: int) -> Tensor:
    """Chroma of ``down`` times ``right`` pixels each; what a half pixel lacks is its neighbour."""
    height, width = (-(-side // step) for side, step in zip(plane_BHW.shape[1:], (down, right), strict=True))
    width += -width % _BLOCK
    rows_Bh, columns_Bw = _places(down * height, size_B2[:, 0]), _places(right * width, size_B2[:, 1])
    sum_Bhw = _taken(plane_BHW, rows_Bh, columns_Bw).view(-1, height, down, width, right).sum((2, 4))
    bias_w = (torch.arange(width, device=plane_BHW.device) % 2 + (down - 1)) * (right - 1)
    return ((sum_Bhw + bias_w) >> (down * right).bit_length() - 1).int()


def _enlarged(plane_Phw: Tensor, size_P2: Tensor, down: int, right: int) -> Tensor:
    """Three quarters of the nearest sample and a quarter of the next, along each halved side."""
    if down == right == 1:
        return plane_Phw
    height, width = plane_Phw.shape[1:]
    own_Ph, own_Pw = _places(height, size_P2[:, 0]), _places(width, size_P2[:, 1])
    repeated_PhW = _taken(plane_Phw, own_Ph, own_Pw).repeat_interleave(2, 2)
    smooth_PhW = _beside(plane_Phw, size_P2, own_Ph, own_Pw, down)
    is_narrow_P11 = (size_P2[:, 1] < _LEAST_SMOOTH)[:, None, None]
    return torch.where(is_narrow_P11, repeated_PhW.repeat_interleave(down, 1), smooth_PhW)


def _beside(plane_Phw: Tensor, size_P2: Tensor, own_Ph: Tensor, own_Pw: Tensor, down: int) -> Tensor:
    before_Pw, after_Pw = (own_Pw - 1).clamp(min=0), torch.minimum(own_Pw + 1, size_P2[:, 1:] - 1)
    if down == 1:
        rows = [_taken(plane_Phw, own_Ph, columns) for columns in (own_Pw, before_Pw, after_Pw)]
        pair = [3 * rows[0] + rows[1] + 1 >> 2, 3 * rows[0] + rows[2] + 2 >> 2]
        return torch.stack(pair, 3).flatten(2)
    above_Ph, below_Ph = (own_Ph - 1).clamp(min=0), torch.minimum(own_Ph + 1, size_P2[:, :1] - 1)
    lines = []
    for far_Ph in (above_Ph, below_Ph):
        own, before, after = (
            3 * _taken(plane_Phw, own_Ph, columns) + _taken(plane_Phw, far_Ph, columns)
            for columns in (own_Pw, before_Pw, after_Pw)
        )
        lines.append(torch.stack([3 * own + before + 8 >> 4, 3 * own + after + 7 >> 4], 3).flatten(2))
    return torch.stack(lines, 2).flatten(1, 2)


def _coded(plane_Phw: Tensor, height_P: Tensor, width_P: Tensor, steps_P88: Tensor) -> Tensor:
    """A plane cut into blocks, transformed, quantised and brought back; its sides in whole blocks."""
    rows, columns = (-(-side // _BLOCK) for side in plane_Phw.shape[1:])
    padded_Phw = _taken(plane_Phw, _places(rows * _BLOCK, height_P), _places(columns * _BLOCK, width_P))
    blocks_P88N = padded_Phw.view(-1, rows, _BLOCK, columns, _BLOCK).permute(0, 2, 4, 1, 3).flatten(3)
    coefficient_P88N = to_frequencies(blocks_P88N - 128)
    steps_P881 = steps_P88[..., None]
    divisor_P881 = steps_P881 << 3
    level_P88N = (coefficient_P88N.abs() + (divisor_P881 >> 1)) // divisor_P881
    decoded_P88N = to_samples(level_P88N * coefficient_P88N.sign() * steps_P881) + 128
    blocks_P88rc = decoded_P88N.clamp(0, 255).view(-1, _BLOCK, _BLOCK, rows, columns)
    whole_Phw: Tensor = blocks_P88rc.permute(0, 3, 1, 4, 2).reshape(-1, rows * _BLOCK, columns * _BLOCK)
    return whole_Phw
