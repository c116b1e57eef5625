"""Quality of a fused image without a reference: spectral and spatial distortion, QNR and HQNR.

Alparone et al., "Multispectral and panchromatic data fusion assessment without reference", PE&RS 74(2),
2008: D_lambda, D_s, QNR. Khan, Alparone and Chanussot, "Pansharpening quality assessment using the modulation
transfer functions of instruments", IEEE TGRS 47(11), 2009: the consistency behind HQNR (Vivone et al., IEEE
GRSM 9(1), 2021). Garzelli and Nencini, "Hypercomplex quality assessment of multi/hyperspectral images", IEEE
GRSL 6(4), 2009: Q2n. All windows are 8 x 8 and slide by one pixel.

Shapes: B batch, C bands of the multispectral image, H and W of the fused and the panchromatic image, h and w
of the multispectral one, D the least power of 2 that is C or more. All images in one unit whose zero is
physical zero. Every score is (B,) float64; NaN where an image is smaller than a window.
"""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.box import box_sum
from pipeline.metrics.uqi import UQI

_SIDE = 8
_LEAST = 1e-14
_q = UQI()


def spectral_distortion(
    fused_BCHW: Tensor,
    low_BChw: Tensor,
    valid_B1HW: Tensor | None = None,
    low_valid_B1hw: Tensor | None = None,
) -> Tensor:
    """D_lambda, 0 is best: how far the similarity of two bands moved from the input to the fused image.

    Mean over pairs of bands of ``|Q(fused_i, fused_j) - Q(low_i, low_j)|``; NaN for a single band.
    """
    pairs = list(combinations(range(fused_BCHW.shape[1]), 2))
    if not pairs:
        return valid.undefined(fused_BCHW)
    moved = [
        _q(fused_BCHW[:, [i]], fused_BCHW[:, [j]], valid_B1HW)
        - _q(low_BChw[:, [i]], low_BChw[:, [j]], low_valid_B1hw)
        for i, j in pairs
    ]
    return torch.stack(moved).abs().mean(dim=0)


def spatial_distortion(
    fused_BCHW: Tensor,
    low_BChw: Tensor,
    pan_B1HW: Tensor,
    low_pan_B1hw: Tensor,
    valid_B1HW: Tensor | None = None,
    low_valid_B1hw: Tensor | None = None,
) -> Tensor:
    """D_s, 0 is best: how far each band's similarity to the panchromatic image moved between the sizes.

    Mean over bands of ``|Q(fused_i, pan) - Q(low_i, low_pan)|``, where ``low_pan`` is the panchromatic image
    at the multispectral one's size, through the sensor's blur.
    """
    moved = [
        _q(fused_BCHW[:, [i]], pan_B1HW, valid_B1HW) - _q(low_BChw[:, [i]], low_pan_B1hw, low_valid_B1hw)
        for i in range(fused_BCHW.shape[1])
    ]
    return torch.stack(moved).abs().mean(dim=0)


def consistency_distortion(
    shrunk_BChw: Tensor, low_BChw: Tensor, low_valid_B1hw: Tensor | None = None
) -> Tensor:
    """D_lambda_K, 0 is best: ``1 - Q2n(shrunk, low)``; ``shrunk`` is the fused image through the blur of
    the multispectral sensor, at its size."""
    return 1 - hypercomplex_quality(shrunk_BChw, low_BChw, low_valid_B1hw)


def qnr(spectral_B: Tensor, spatial_B: Tensor) -> Tensor:
    """Quality with no reference, 1 is best: ``(1 - D_lambda) (1 - D_s)``; HQNR with D_lambda_K in front."""
    return (1 - spectral_B) * (1 - spatial_B)


def hypercomplex_quality(x_BCHW: Tensor, y_BCHW: Tensor, valid_B1HW: Tensor | None = None) -> Tensor:
    """Q2n, 1 is best: the universal quality index of pixels that are hypercomplex numbers of C parts.

    Mean over windows of ``4 |cov| |mx| |my| / ((vx + vy) (|mx|^2 + |my|^2))``; where both are flat, of
    ``2 |mx| |my| / (|mx|^2 + |my|^2)``.
    """
    if min(y_BCHW.shape[-2:]) < _SIDE:
        return valid.undefined(y_BCHW)
    x_BDHW, y_BDHW = (_padded(valid.blanked(each, valid_B1HW).double()) for each in (x_BCHW, y_BCHW))
    mx_BDhw, my_BDhw = _mean(x_BDHW), _mean(y_BDHW)
    energy_B1hw = _norm(mx_BDhw) + _norm(my_BDhw)
    variance_B1hw = _mean(_norm(x_BDHW) + _norm(y_BDHW)) - energy_B1hw
    covariance_BDhw = _mean(_product(x_BDHW, _conjugate(y_BDHW))) - _product(mx_BDhw, _conjugate(my_BDhw))
    luminance = _ratio(2 * (_norm(mx_BDhw) * _norm(my_BDhw)).sqrt(), energy_B1hw)
    structure = _ratio(2 * _norm(covariance_BDhw).sqrt(), variance_B1hw)
    return valid.mean(luminance * structure, valid.whole_windows(valid_B1HW, _SIDE))


def _padded(image_BCHW: Tensor) -> Tensor:
    """As many parts as the next power of 2, the new ones zero."""
    parts = 1 << (image_BCHW.shape[1] - 1).bit_length()
    return F.pad(image_BCHW, (0, 0, 0, 0, 0, parts - image_BCHW.shape[1]))


def _conjugate(number_BDHW: Tensor) -> Tensor:
    return torch.cat([number_BDHW[:, :1], -number_BDHW[:, 1:]], dim=1)


def _product(x_BDHW: Tensor, y_BDHW: Tensor) -> Tensor:
    """Of hypercomplex numbers, by halves: (a, b) (c, d) = (a c - d* b, d a + b c*) (Cayley and Dickson)."""
    if x_BDHW.shape[1] == 1:
        return x_BDHW * y_BDHW
    (a, b), (c, d) = x_BDHW.chunk(2, dim=1), y_BDHW.chunk(2, dim=1)
    first = _product(a, c) - _product(_conjugate(d), b)
    return torch.cat([first, _product(d, a) + _product(b, _conjugate(c))], dim=1)


def _norm(number_BDHW: Tensor) -> Tensor:
    """B1HW: squared absolute value."""
    return number_BDHW.square().sum(dim=1, keepdim=True)


def _mean(image_BCHW: Tensor) -> Tensor:
    return box_sum(image_BCHW, _SIDE, _SIDE) / _SIDE**2


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """1 where there is nothing to compare."""
    flat = below <= _LEAST
    return torch.where(flat, 1.0, above / below.where(~flat, 1.0))
