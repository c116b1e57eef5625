"""Wiener filtering of a known blur, with a spectrum of the image that is fitted to what was observed.

Wiener 1949; with the penalty on the image's gradient Hunt 1973, "The application of constrained least
squares estimation to image restoration by digital computer". Where Hunt finds the weight by the size of the
residual, which smooths too much, here the most likely spectrum decides (``spectral_prior``,
``spectral_detail``).

Shapes: B batch, C channels, K kernel side, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.point_spread import point_spread
from models.solvers.quadratic_deconvolution import deconvolve_cut_out, deconvolve_periodic, wraps_around
from models.solvers.solver import Solver, noise_level_of, number
from models.solvers.spectral_detail import detailed
from models.solvers.spectral_prior import LEAST_NOISE, Prior, spectrum


@dataclass(frozen=True, kw_only=True)
class Wiener(Solver):
    """``min_x |k * x - y|^2 + balance |gradient^exponent x|^2``; what lies beyond the edges is found too."""

    name: ClassVar[str] = "wiener"
    version: ClassVar[int] = 5

    balance: float | None = number(None, 0.0, 1e6)
    """Weight of the squared gradient against the residual; nothing fits weight and exponent."""

    def card(self, name: str) -> Card:
        """Every pixel can matter: the inverse of a blur has no end."""
        needs = ("operators", "noise_level") if self.balance is None else ("operators",)
        return Card(
            name=name,
            summary="Wiener filter for a known blur, with an image spectrum fitted to what is observed.",
            task="deblurring",
            halo=None,
            tile_exact=False,
            needs=needs,
            source="Wiener 1949; Hunt 1973; MacKay 1992; Dempster, Laird and Rubin 1977; Reeves 2005",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        kernel_CKK = point_spread(condition.operators, degraded_BCHW.shape[1], degraded_BCHW)
        periodic = wraps_around(condition.operators, kernel_CKK, degraded_BCHW)
        # Powers of a spectrum span more digits than float32 has.
        image_BCHW, kernel_CKK = degraded_BCHW.double(), kernel_CKK.double()
        if self.balance is None:
            level_B111 = noise_level_of(condition, image_BCHW).clamp(min=LEAST_NOISE)
            prior = spectrum(image_BCHW, kernel_CKK, periodic=periodic).prior(level_B111)
            penalty = detailed(prior, image_BCHW, kernel_CKK, periodic=periodic)
        else:
            penalty = _fixed(self.balance, image_BCHW).penalty
        deconvolve = deconvolve_periodic if periodic else deconvolve_cut_out
        return deconvolve(image_BCHW, kernel_CKK, penalty).to(degraded_BCHW)


def _fixed(balance: float, image_BCHW: Tensor) -> Prior:
    like_BC = torch.ones_like(image_BCHW[..., 0, 0])
    return Prior(balance * like_BC, like_BC, like_BC)
