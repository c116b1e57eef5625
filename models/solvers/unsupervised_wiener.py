"""Wiener filtering of a known blur that finds the level of the noise itself.

The model is that of Orieux, Giovannelli and Rodet 2010, "Bayesian estimation of regularization and point
spread function parameters for Wiener-Hunt deconvolution": white noise and a Gaussian image, both of unknown
precision. They take the image's Laplacian as white and draw the precisions by Gibbs sampling; here the
spectrum's exponent and where it departs from a power are found too, and the most likely values are taken
(``spectral_prior``, ``spectral_detail``), which needs no random numbers.

Shapes: B batch, C channels, K kernel side, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.point_spread import point_spread
from models.solvers.quadratic_deconvolution import deconvolve_cut_out, deconvolve_periodic, wraps_around
from models.solvers.solver import Solver
from models.solvers.spectral_detail import detailed
from models.solvers.spectral_prior import spectrum


@dataclass(frozen=True, kw_only=True)
class UnsupervisedWiener(Solver):
    """Needs the blur, not the noise level; every channel has its own precisions."""

    name: ClassVar[str] = "unsupervised_wiener"
    version: ClassVar[int] = 6

    def card(self, name: str) -> Card:
        """Every pixel can matter: the inverse of a blur has no end."""
        return Card(
            name=name,
            summary="Wiener-Hunt deconvolution of a known blur that estimates the noise itself.",
            task="deblurring",
            halo=None,
            tile_exact=False,
            needs=("operators",),
            source="Orieux, Giovannelli and Rodet 2010; MacKay 1992; Dempster et al. 1977; Reeves 2005",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        kernel_CKK = point_spread(condition.operators, degraded_BCHW.shape[1], degraded_BCHW)
        periodic = wraps_around(condition.operators, kernel_CKK, degraded_BCHW)
        # Powers of a spectrum span more digits than float32 has.
        image_BCHW, kernel_CKK = degraded_BCHW.double(), kernel_CKK.double()
        prior = spectrum(image_BCHW, kernel_CKK, periodic=periodic).blind_prior()
        penalty = detailed(prior, image_BCHW, kernel_CKK, periodic=periodic)
        deconvolve = deconvolve_periodic if periodic else deconvolve_cut_out
        return deconvolve(image_BCHW, kernel_CKK, penalty).to(degraded_BCHW)
