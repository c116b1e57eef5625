"""Component substitution: the intensity that an image's bands make up is replaced by the guide.

Aiazzi, Baronti and Selva, "Improving Component Substitution Pansharpening Through Multivariate Regression of
MS+Pan Data", IEEE TGRS 2007: the Gram-Schmidt adaptive method (GSA).

Shapes: B batch, C channels of the image, P of the guide, h and w of the image, H and W of the guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.guides.matching import MTF, enlarged, explained, guide_of, matched, seen_coarsely
from models.solvers.solver import Solver, number, whole


@dataclass(frozen=True, kw_only=True)
class GramSchmidtAdaptive(Solver):
    """``band + g (guide - intensity)``: the intensity by regression, g its share in the band.

    A guide of several bands is first made one for each of the image's (``models.guides.matching``).
    """

    name: ClassVar[str] = "gsa"

    scale: int | None = whole(None, 1, 64)
    """How many times larger the guide is; nothing takes the scale of the degradation."""
    mtf: float = number(MTF, 0.01, 0.999)
    """Response of the image's sensor at its Nyquist frequency."""

    def card(self, name: str) -> Card:
        """Regressions see the whole image."""
        return Card(
            name=name,
            summary="Pansharpening by substitution of the intensity (GSA).",
            task="super-resolution",
            scale=self.scale,
            halo=None,
            tile_exact=False,
            needs=("guide",),
            source="Aiazzi, Baronti and Selva 2007",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the guide's H and W."""
        scale = self.scale if self.scale is not None else condition.scale
        guide_BPHW = guide_of(condition, degraded_BCHW, scale)
        large_BCHW = enlarged(degraded_BCHW, scale)
        if guide_BPHW.shape[1] > 1:
            guide_BPHW = matched(guide_BPHW, degraded_BCHW, scale, self.mtf)
        coarse_BPhw = seen_coarsely(guide_BPHW, scale, self.mtf)
        intensity_BPhw = explained(degraded_BCHW, coarse_BPhw, degraded_BCHW)
        # Where bands explain little of the guide the intensity hardly moves, and its inverse would be huge:
        # what a band owes to the guide is told by the guide's own variance, which is the same where they
        # explain all.
        intensity_BPHW = explained(degraded_BCHW, coarse_BPhw, large_BCHW)
        gain_BC11 = covariance(intensity_BPhw, degraded_BCHW) / covariance(coarse_BPhw, coarse_BPhw)
        return large_BCHW + gain_BC11 * (guide_BPHW - intensity_BPHW)


def covariance(first_BPhw: Tensor, second_BChw: Tensor) -> Tensor:
    """BC11: of each band with its own guide, or with the one guide; never quite 0."""
    first_BPhw = first_BPhw - first_BPhw.mean(dim=(-2, -1), keepdim=True)
    second_BChw = second_BChw - second_BChw.mean(dim=(-2, -1), keepdim=True)
    return (first_BPhw * second_BChw).mean(dim=(-2, -1), keepdim=True) + 1e-12
