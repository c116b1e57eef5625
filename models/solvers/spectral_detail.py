"""Where the spectrum of an image departs from a power of the gradient's: directions, textures, grids.

A photograph of bricks has far more at some frequencies than ``spectral_prior`` says, and less between them.
How much more is the mean, over the frequencies around, of what is expected there of the image once the
blurred one is seen; this expectation again needs the spectrum. Repeated, it makes what was observed likelier
each time (Dempster, Laird and Rubin 1977, "Maximum likelihood from incomplete data via the EM algorithm").
Where the blur passed nothing, the ratio stays 1.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.solvers.point_spread import gradient_energy, transfer_function
from models.solvers.quadratic_deconvolution import Penalty
from models.solvers.spectral_prior import Prior, lobe, windowed

_REACH = 2.0
"""Standard deviation of the window over which ratios are averaged, in steps between frequencies: some 25
that are independent. With less, noise is taken for detail; with more, the lines of a grid are blurred."""
_ROUNDS = 8
_LEAST_RATIO = 1e-6


def detailed(prior: Prior, image_BCHW: Tensor, kernel_CKK: Tensor, *, periodic: bool) -> Penalty:
    """The prior's penalty, divided by the ratio of the image's spectrum to the prior's.

    The image is float64, as for ``spectrum``.
    """
    height, width = image_BCHW.shape[-2:]
    # In powers of the noise, so that the penalty is the inverse of the prior's spectrum.
    variance_BC11 = (1 / prior.noise_precision_BC)[..., None, None]
    seen_BCHW = image_BCHW if periodic else windowed(image_BCHW)
    power_BCHW = torch.fft.rfft2(seen_BCHW, norm="ortho").abs().square() / variance_BC11
    blur_CHW = transfer_function(kernel_CKK, height, width).abs().square()
    expected_BCHW = 1 / prior.penalty(height, width).clamp(min=1e-30)
    unseen_HW = lobe(gradient_energy(height, width, image_BCHW), periodic=periodic)
    gain_BCHW = blur_CHW * expected_BCHW
    taps_HW = _taps(height, width, image_BCHW)
    ratio_BCHW = torch.ones_like(gain_BCHW)
    for _ in range(_ROUNDS):
        spread_BCHW = 1 + gain_BCHW * ratio_BCHW
        share_BCHW = 1 - 1 / spread_BCHW
        share_BCHW = torch.where(unseen_HW, 0.0, share_BCHW)
        update_BCHW = 1 + share_BCHW * (power_BCHW / spread_BCHW - 1)
        lags_BCHW = torch.fft.irfft2(ratio_BCHW * update_BCHW, s=(height, width)) * taps_HW
        ratio_BCHW = torch.fft.rfft2(lags_BCHW).real.clamp(min=_LEAST_RATIO)

    def penalty(height: int, width: int) -> Tensor:
        return prior.penalty(height, width) / _resampled(lags_BCHW, height, width)

    return penalty


def _taps(height: int, width: int, like: Tensor) -> Tensor:
    """HW: the inverse transform of a Gaussian window over frequencies that goes on from edge to edge."""
    lags = [torch.fft.fftfreq(side, dtype=like.dtype, device=like.device) for side in (height, width)]
    down_H, right_W = (torch.exp(-2 * (torch.pi * _REACH * lag) ** 2) for lag in lags)
    return down_H[:, None] * right_W


def _resampled(lags_BCHW: Tensor, height: int, width: int) -> Tensor:
    """B x C x H x (W/2 + 1): the ratio at the frequencies of a larger image.

    Smoothed ratios have lags of nearly 0 at half a side, so that zeros may go on from there.
    """
    for axis, side in ((-2, height), (-1, width)):
        have = lags_BCHW.shape[axis]
        first = have - have // 2
        zeros_shape = list(lags_BCHW.shape)
        zeros_shape[axis] = side - have
        parts = lags_BCHW.narrow(axis, 0, first), lags_BCHW.narrow(axis, first, have - first)
        lags_BCHW = torch.cat([parts[0], lags_BCHW.new_zeros(zeros_shape), parts[1]], dim=axis)
    ratio_BCHW: Tensor = torch.fft.rfft2(lags_BCHW).real.clamp(min=_LEAST_RATIO)
    return ratio_BCHW
