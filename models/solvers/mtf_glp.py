"""Multiresolution analysis: what the image's sensor could not see of the guide is added to each band.

Aiazzi, Alparone, Baronti, Garzelli and Selva, "MTF-tailored Multiscale Fusion of High-resolution MS and Pan
Imagery", Photogrammetric Engineering & Remote Sensing 2006 (MTF-GLP),
with one gain a band.

Shapes: B batch, C channels of the image, P of the guide, h and w of the image, H and W of the guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.guides.matching import MTF, enlarged, guide_of, matched, seen_coarsely
from models.solvers.solver import Solver, number, whole


@dataclass(frozen=True, kw_only=True)
class MtfGlp(Solver):
    """``band + guide - guide as the image's sensor sees it``, enlarged alike.

    The guide is first made one for each of the image's bands, by regression of their details
    (``models.guides.matching``): of a panchromatic band that is a gain.
    """

    name: ClassVar[str] = "mtf_glp"

    scale: int | None = whole(None, 1, 64)
    """How many times larger the guide is; nothing takes the scale of the degradation."""
    mtf: float = number(MTF, 0.01, 0.999)
    """Response of the image's sensor at its Nyquist frequency."""

    def card(self, name: str) -> Card:
        """The gains see the whole image."""
        return Card(
            name=name,
            summary="Pansharpening by details that the image's sensor could not see (MTF-GLP).",
            task="super-resolution",
            scale=self.scale,
            halo=None,
            tile_exact=False,
            needs=("guide",),
            source="Aiazzi et al. 2006, MTF-tailored Multiscale Fusion",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the guide's H and W."""
        scale = self.scale if self.scale is not None else condition.scale
        guide_BPHW = guide_of(condition, degraded_BCHW, scale)
        guide_BCHW = matched(guide_BPHW, degraded_BCHW, scale, self.mtf)
        coarse_BChw = seen_coarsely(guide_BCHW, scale, self.mtf)
        return guide_BCHW + enlarged(degraded_BCHW - coarse_BChw, scale)
