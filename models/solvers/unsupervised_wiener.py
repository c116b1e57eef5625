"""Wiener filtering of a known blur that finds its own balance.

The model is that of Orieux, Giovannelli and Rodet 2010, "Bayesian estimation of regularization and point
spread function parameters for Wiener-Hunt deconvolution": white noise and a Gaussian image whose Laplacian
is white, both of unknown precision. They draw the precisions by Gibbs sampling; with as many observations
as an image has pixels, their distribution is so narrow that its maximum will do (MacKay 1992, "Bayesian
interpolation", section 4). It is found along a single line and needs no random numbers.

Shapes: B batch, C channels, K kernel side, H and W height and width, F frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.boundary import double_mirrored
from models.solvers.point_spread import gradient_energy, multiplicity, point_spread, transfer_function
from models.solvers.solver import Solver

_LEAST, _MOST, _TRIALS = -25.0, 15.0, 41
"""Of the balance's logarithm, and how many values are tried before the interval is halved."""
_HALVINGS = 24
"""Leaves less than one part in 10^7 of the balance."""


@dataclass(frozen=True, kw_only=True)
class UnsupervisedWiener(Solver):
    """Needs the blur, not the noise level; edges are mirrored; every channel has its own precisions."""

    name: ClassVar[str] = "unsupervised_wiener"
    version: ClassVar[int] = 2

    def card(self, name: str) -> Card:
        """Every pixel can matter: the inverse of a blur has no end."""
        return Card(
            name=name,
            summary="Wiener-Hunt deconvolution of a known blur that estimates the noise itself.",
            task="deblurring",
            halo=None,
            tile_exact=False,
            needs=("operators",),
            source="Orieux, Giovannelli and Rodet 2010; MacKay 1992, Bayesian interpolation",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        height, width = degraded_BCHW.shape[-2:]
        kernel_CKK = point_spread(condition.operators, degraded_BCHW.shape[1], degraded_BCHW)
        # Powers of a spectrum span more digits than float32 has.
        periodic_BCHW = double_mirrored(degraded_BCHW.double())
        restored_BCHW, _ = deconvolve(periodic_BCHW, kernel_CKK.double())
        return restored_BCHW[..., :height, :width].to(degraded_BCHW)


class Precisions(NamedTuple):
    """Inverse variances of the most probable model."""

    noise_BC: Tensor
    image_BC: Tensor
    """Of the image's Laplacian."""


def deconvolve(image_BCHW: Tensor, kernel_CKK: Tensor) -> tuple[Tensor, Precisions]:
    """The posterior mean of a periodic image (equation 30 of Orieux 2010), and the precisions for it."""
    height, width = image_BCHW.shape[-2:]
    transfer_CHW = transfer_function(kernel_CKK, height, width)
    laplacian_HW = gradient_energy(height, width, image_BCHW).square()
    spectrum_BCHW = torch.fft.rfft2(image_BCHW, norm="ortho")
    # The mean is left out, on which the prior says nothing, and where there is no blur to undo.
    gain_CF = transfer_CHW.abs().square().flatten(1)[:, 1:] / laplacian_HW.flatten()[1:]
    power_BCF = spectrum_BCHW.abs().square().flatten(2)[..., 1:]
    counts_F = multiplicity(width, image_BCHW).expand(height, -1).flatten()[1:]
    balance_BC, noise_BC = _most_probable(gain_CF, power_BCF, counts_F)
    penalty_BCHW = balance_BC[..., None, None] * laplacian_HW
    precision_BCHW = transfer_CHW.abs().square() + penalty_BCHW
    filter_BCHW = torch.where(precision_BCHW > 0, transfer_CHW.conj() / precision_BCHW, 0.0)
    restored_BCHW = torch.fft.irfft2(filter_BCHW * spectrum_BCHW, s=(height, width), norm="ortho")
    return restored_BCHW, Precisions(noise_BC, balance_BC * noise_BC)


def _most_probable(gain_CF: Tensor, power_BCF: Tensor, counts_F: Tensor) -> tuple[Tensor, Tensor]:
    """BC, BC: balance (image precision / noise precision) and noise precision of the greatest likelihood.

    With ``v = 1 + gain / balance``, the observed power at a frequency has the mean ``v / noise precision``.
    The precision follows from the balance; what is left, ``n log(sum power / v) + sum log v``, has the
    derivative ``n (weighted mean of s) - sum s``, with weights ``power / v`` and ``s = 1 - 1 / v``.
    """
    number = counts_F.sum()

    def explained(balance_BC: Tensor) -> tuple[Tensor, Tensor]:
        spread_BCF = 1 + gain_CF / balance_BC[..., None]
        return spread_BCF, counts_F * power_BCF / spread_BCF

    def unlikeliness(balance_BC: Tensor) -> Tensor:
        spread_BCF, noise_BCF = explained(balance_BC)
        floor = torch.finfo(noise_BCF.dtype).tiny
        return number * noise_BCF.sum(-1).clamp(min=floor).log() + (counts_F * spread_BCF.log()).sum(-1)

    def falls(balance_BC: Tensor) -> Tensor:
        spread_BCF, noise_BCF = explained(balance_BC)
        share_BCF = 1 - 1 / spread_BCF
        return number * (noise_BCF * share_BCF).sum(-1) < (counts_F * share_BCF).sum(-1) * noise_BCF.sum(-1)

    trials = torch.linspace(_LEAST, _MOST, _TRIALS, dtype=torch.float64).tolist()
    like_BC = power_BCF[..., 0]
    unlike_TBC = torch.stack([unlikeliness(torch.full_like(like_BC, trial).exp()) for trial in trials])
    middle_BC = torch.linspace(_LEAST, _MOST, _TRIALS).to(like_BC)[unlike_TBC.argmin(dim=0)]
    step = (_MOST - _LEAST) / (_TRIALS - 1)
    low_BC, high_BC = middle_BC - step, middle_BC + step
    for _ in range(_HALVINGS):
        middle_BC = (low_BC + high_BC) / 2
        falls_BC = falls(middle_BC.exp())
        low_BC, high_BC = torch.where(falls_BC, middle_BC, low_BC), torch.where(falls_BC, high_BC, middle_BC)
    balance_BC = middle_BC.exp()
    return balance_BC, number / explained(balance_BC)[1].sum(-1)
