"""A Gaussian prior whose spectrum is fitted to the blurred image: how smooth, and how much of it is noise.

The image's spectrum is taken as a power of the squared gradient's, ``c / |D|^(2 exponent)``. An exponent of 1
is the 1/f^2 of photographs as a whole (Field 1987), 2 the white Laplacian of Orieux, Giovannelli and Rodet
2010; single photographs lie between and beyond. What was blurred and made noisy is then Gaussian too, of
variance ``noise + |K|^2 c / |D|^(2 exponent)`` at each frequency, and the parameters are those that make what
was observed most likely (MacKay 1992, "Bayesian interpolation", section 4). With as many observations as
an image has pixels, nothing is gained by drawing them as Orieux does.

Shapes: B batch, C channels, H and W height and width, F frequencies, T trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.solvers.point_spread import gradient_energy, multiplicity, transfer_function

LEAST_NOISE = 1e-3
"""About what rounding to 8 bits adds: to believe in less asks back what no blur has passed."""
EXPONENTS = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5)
_LEAST, _MOST, _TRIALS = -25.0, 7.0, 33
"""Of the balance's logarithm: at the most, even an image of a few pixels keeps something of its input."""
_NARROWINGS = 4
"""Of the interval around the best trial, each to a quarter: leaves less than one part in 100."""
_FREQUENCIES = 1 << 14
"""So many are enough for three parameters; of larger images, evenly chosen ones are looked at."""


class Prior(NamedTuple):
    """Weight of ``|D|^(2 exponent)`` against the residual, and the inverse variance of the noise."""

    balance_BC: Tensor
    exponent_BC: Tensor
    noise_precision_BC: Tensor

    def penalty(self, height: int, width: int) -> Tensor:
        """B x C x H x (W/2 + 1): ``balance |D|^(2 exponent)``."""
        slope_HW = gradient_energy(height, width, self.balance_BC)
        return self.balance_BC[..., None, None] * slope_HW ** self.exponent_BC[..., None, None]


@dataclass(frozen=True)
class Spectrum:
    """Powers of a blurred image at some frequencies, beside what blur and gradient do there."""

    power_BCF: Tensor
    blur_CF: Tensor
    slope_F: Tensor
    counts_F: Tensor

    def prior(self, noise_level_B111: Tensor | None, exponents: tuple[float, ...] = EXPONENTS) -> Prior:
        """The most likely prior of each channel, for noise of this level or of one that is found too."""
        variance_BC1 = None if noise_level_B111 is None else noise_level_B111[..., 0].square()
        found = [self._balance(exponent, variance_BC1) for exponent in exponents]
        best_BC = torch.stack([unlikely_BC for unlikely_BC, _ in found]).argmin(dim=0)
        balance_BC = torch.stack([each for _, each in found]).gather(0, best_BC[None])[0]
        exponent_BC = balance_BC.new_tensor(exponents)[best_BC]
        if variance_BC1 is not None:
            return Prior(balance_BC, exponent_BC, 1 / variance_BC1[..., 0].expand_as(balance_BC))
        gain_BCF = self.blur_CF / self.slope_F ** exponent_BC[..., None]
        white_BCF = self.power_BCF / (1 + gain_BCF / balance_BC[..., None])
        return Prior(balance_BC, exponent_BC, self.counts_F.sum() / (self.counts_F * white_BCF).sum(-1))

    def blind_prior(self) -> Prior:
        """The most likely prior for noise that is found too, but is never below ``LEAST_NOISE``."""
        found = self.prior(None)
        least = self.prior(self.power_BCF.new_full((1, 1, 1, 1), LEAST_NOISE))
        quiet_BC = found.noise_precision_BC > LEAST_NOISE**-2
        return Prior(*(torch.where(quiet_BC, *pair) for pair in zip(least, found, strict=True)))

    def _balance(self, exponent: float, variance_BC1: Tensor | None) -> tuple[Tensor, Tensor]:
        """BC, BC: the least unlikeliness under one exponent, and its balance."""
        gain_CF = self.blur_CF / self.slope_F**exponent
        step = (_MOST - _LEAST) / (_TRIALS - 1)
        middle_BC = torch.full_like(self.power_BCF[..., 0], (_LEAST + _MOST) / 2)
        offsets_T = torch.linspace(_LEAST - _MOST, _MOST - _LEAST, _TRIALS, dtype=torch.float64) / 2
        for _ in range(_NARROWINGS + 1):
            trials = [middle_BC + offset for offset in offsets_T.tolist()]
            unlikely_TBC = torch.stack([self._unlikely(gain_CF, each, variance_BC1) for each in trials])
            least_BC, best_BC = unlikely_TBC.min(dim=0)
            middle_BC = torch.stack(trials).gather(0, best_BC[None])[0]
            offsets_T = torch.linspace(-step, step, 9, dtype=torch.float64)
            step /= 4
        return least_BC, middle_BC.exp()

    def _unlikely(self, gain_CF: Tensor, log_balance_BC: Tensor, variance_BC1: Tensor | None) -> Tensor:
        """BC: minus twice the logarithm of the likelihood, up to a constant.

        With ``v = 1 + gain / balance`` the observed power has the mean ``noise variance v``.
        """
        spread_BCF = 1 + gain_CF / log_balance_BC.exp()[..., None]
        white_BC = (self.counts_F * self.power_BCF / spread_BCF).sum(-1)
        spread_BC = (self.counts_F * spread_BCF.log()).sum(-1)
        if variance_BC1 is not None:
            return white_BC / variance_BC1[..., 0] + spread_BC
        return self.counts_F.sum() * white_BC.clamp(min=torch.finfo(white_BC.dtype).tiny).log() + spread_BC


def spectrum(image_BCHW: Tensor, kernel_CKK: Tensor, *, periodic: bool) -> Spectrum:
    """Of an image that goes on from its right edge at its left one, or of one that was cut out of a scene.

    The edges of a cut-out would be its strongest frequencies: it is seen through a Hann window.
    """
    height, width = image_BCHW.shape[-2:]
    counts_HW = multiplicity(width, image_BCHW).repeat(height, 1)
    counts_HW = torch.where(lobe(counts_HW, periodic=periodic), 0.0, counts_HW)
    if not periodic:
        image_BCHW = windowed(image_BCHW)
    power_BCF = torch.fft.rfft2(image_BCHW, norm="ortho").abs().square().flatten(2)
    blur_CF = transfer_function(kernel_CKK, height, width).abs().square().flatten(1)
    slope_F = gradient_energy(height, width, image_BCHW).flatten()
    kept_F = (counts_HW.flatten() > 0).nonzero()[:, 0]
    # An odd step visits all columns in turn.
    kept_F = kept_F[:: 2 * (len(kept_F) // (2 * _FREQUENCIES)) + 1]
    return Spectrum(power_BCF[..., kept_F], blur_CF[:, kept_F], slope_F[kept_F], counts_HW.flatten()[kept_F])


def windowed(image_BCHW: Tensor) -> Tensor:
    """The image without its mean, seen through a Hann window that keeps the power of noise."""
    height, width = image_BCHW.shape[-2:]
    down_H, right_W = (
        torch.hann_window(side + 1, dtype=image_BCHW.dtype, device=image_BCHW.device)[1:]
        if side > 1
        else image_BCHW.new_ones(1)
        for side in (height, width)
    )
    window_HW = down_H[:, None] * right_W
    mean_BC11 = (image_BCHW * window_HW).sum(dim=(-2, -1), keepdim=True) / window_HW.sum()
    return (image_BCHW - mean_BC11) * window_HW / window_HW.square().mean().sqrt()


def lobe(like_HW: Tensor, *, periodic: bool) -> Tensor:
    """H x (W/2 + 1) of bool: the mean, on which the prior says nothing, and where a window spreads it.

    All frequencies of a tiny image are such; then they are looked at nevertheless.
    """
    inside_HW = torch.zeros_like(like_HW, dtype=torch.bool)
    inside_HW[0, 0] = True
    if periodic:
        return inside_HW
    wide_HW = inside_HW.clone()
    wide_HW[[0, 1 % len(like_HW), -1], :2] = True
    return inside_HW if bool(wide_HW.all()) else wide_HW
