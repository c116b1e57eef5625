"""Detail of a restored image that its input does not support: two scores of every patch, without a reference.

What a restored image shows must be in the input, as far as the degradation lets it through; the rest is the
restorer's own, and natural images bound how much of it is likely. So there are two ways to be unsupported:
degraded again the image does not give the input back, by more than noise does in windows of some pixels; or
it holds more fine detail than the input's own finest detail lets expect.

Shapes: B batch, C channels, H and W height and width of the restored image, h and w of the input.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 16
"""Side of a patch in input pixels."""
_SMALL, _LARGE = (3, 5), (9, 15)
"""Sides of what residuals are averaged over, about every pixel and about every third: what noise leaves falls
with the side, a structure does not."""
_ROUNDING = 0.5 / 255
"""Least noise level: what rounding to 8 bits and a network's own error make."""
_TEXTURE = 0.05
"""What a restorer may miss the input by where there is texture, as a share of its deviation there."""
_FAINT = 2 / 255
"""Detail of the input that is too faint to expect anything of."""


def residual_scores(
    again_BChw: Tensor, degraded_BChw: Tensor, level_B: Tensor, known_B1hw: Tensor | None
) -> Tensor:
    """B1hw: largest mean residual over windows about each pixel, in standard deviations of that mean.

    ``again`` is the restored image, degraded again without noise; ``level_B`` the input's noise level, to
    which a little of its texture is added, where no restorer is exact. Pixels that are not known count as if
    they agreed.
    """
    level_B111 = level_B.to(degraded_BChw).clamp_min(_ROUNDING)[:, None, None, None]
    residual = again_BChw - degraded_BChw
    if known_B1hw is not None:
        residual = torch.where(known_B1hw, residual, 0.0)
    residual = residual / (level_B111.square() + _TEXTURE**2 * _texture(degraded_BChw, level_B111)).sqrt()
    means = [_box(residual, side, "constant") for side in _SMALL]
    fine = torch.maximum(*(_energy(each, side) for each, side in zip(means, _SMALL, strict=True)))
    thirds = means[0][..., ::3, ::3]
    coarse = torch.maximum(*(_energy(_box(thirds, side // 3, "constant"), side) for side in _LARGE))
    coarse = coarse.repeat_interleave(3, dim=-2).repeat_interleave(3, dim=-1)
    return torch.maximum(fine, coarse[..., : fine.shape[-2], : fine.shape[-1]]).sqrt()


def detail_scores(restored_BCHW: Tensor, degraded_BChw: Tensor) -> Tensor:
    """B1HW: energy of what shrinking the restored image loses, over that of the input's finest octave
    there."""
    height, width = restored_BCHW.shape[-2:]
    scale = max(height // degraded_BChw.shape[-2], 1)
    own = _detail(restored_BCHW, scale if scale > 1 else 2)
    finest = _detail(degraded_BChw, 2)
    side = 9 if scale == 1 else 5
    expected = _local(finest, side)
    if scale > 1:
        expected = F.interpolate(expected, size=(height, width), mode="bilinear")
    return _local(own, side if scale == 1 else scale * 4 + 1) / (expected + _FAINT)


def patches(score_B1hw: Tensor, input_height: int, input_width: int) -> Tensor:
    """(B, rows, columns): the largest score of every patch of ``PATCH`` x ``PATCH`` input pixels."""
    rows, columns = -(-input_height // PATCH), -(-input_width // PATCH)
    scale = max(score_B1hw.shape[-2] // input_height, 1)
    side = PATCH * scale
    below = rows * side - score_B1hw.shape[-2]
    right = columns * side - score_B1hw.shape[-1]
    padded = F.pad(score_B1hw, (0, max(right, 0), 0, max(below, 0)))
    return F.max_pool2d(padded, side)[:, 0, :rows, :columns]


def _texture(image_BCHW: Tensor, level_B111: Tensor) -> Tensor:
    """B1HW: variance over 5 x 5 pixels that is not the noise's."""
    padded = F.pad(image_BCHW, (2, 2, 2, 2), mode="replicate")
    mean, square = (_sums(_sums(each, 5, -2), 5, -1) / 25 for each in (padded, padded.square()))
    return (_over_channels(square.sub_(mean.square_())) - level_B111.square()).clamp_min_(0)


def _over_channels(image_BCHW: Tensor) -> Tensor:
    """B1HW: the mean; of a single channel itself, which torch would copy at length."""
    return image_BCHW if image_BCHW.shape[1] == 1 else image_BCHW.mean(dim=1, keepdim=True)


def _detail(image_BCHW: Tensor, scale: int) -> Tensor:
    height, width = image_BCHW.shape[-2:]
    if height % scale or width % scale:
        small = F.interpolate(image_BCHW, (max(height // scale, 1), max(width // scale, 1)), mode="area")
    else:  # the same, faster
        rows = _every(image_BCHW, scale, -2)
        small = _every(rows, scale, -1) / scale**2
    return image_BCHW - F.interpolate(small, (height, width), mode="bilinear")


def _every(image_BCHW: Tensor, scale: int, axis: int) -> Tensor:
    """Sums of each ``scale`` neighbours, side by side."""
    places = [slice(None)] * image_BCHW.dim()
    total = None
    for first in range(scale):
        places[axis] = slice(first, None, scale)
        part = image_BCHW[tuple(places)]
        total = part if total is None else total + part
    assert total is not None
    return total


def _local(detail_BCHW: Tensor, side: int) -> Tensor:
    """B1HW: root mean square over channels and ``side`` x ``side`` pixels."""
    return _box(_over_channels(detail_BCHW.square()), side, "replicate").clamp_min(0).sqrt()


def _energy(mean_BCHW: Tensor, side: int) -> Tensor:
    """B1HW: mean over channels of the squared means, in variances of one of noise."""
    return _over_channels((mean_BCHW * side).square_())


def _box(image_BCHW: Tensor, side: int, beyond: str) -> Tensor:
    """Means over ``side`` x ``side`` pixels, one axis after the other."""
    padded = F.pad(image_BCHW, (side // 2,) * 4, mode=beyond)
    return _sums(_sums(padded, side, -2), side, -1) / side**2


def _sums(image_BCHW: Tensor, side: int, axis: int) -> Tensor:
    """Sums of ``side`` neighbours by doubling: a pooling takes many times as long."""
    length = image_BCHW.shape[axis] - side + 1
    total, first, width, block = None, 0, 1, image_BCHW
    while True:
        if side & 1:
            part = block.narrow(axis, first, length)
            total, first = part if total is None else total + part, first + width
        side >>= 1
        if not side:
            assert total is not None
            return total
        pairs = block.shape[axis] - width
        block = block.narrow(axis, 0, pairs) + block.narrow(axis, width, pairs)
        width *= 2
