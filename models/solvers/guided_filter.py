"""The guided filter: an image as a local affine map of a sharper one.

He, Sun and Tang, "Guided Image Filtering", IEEE TPAMI 2013; where the guide has more pixels, the coefficients
are found at the image's size and enlarged (He and Sun, "Fast Guided Filter", arXiv:1505.00996).

Shapes: B batch, C channels of the image, P of the guide, h and w of the image, H and W of the guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.guides.matching import enlarged, guide_of, seen_coarsely
from models.solvers.solver import Solver, number, whole


@dataclass(frozen=True, kw_only=True)
class GuidedFilter(Solver):
    """``a g + b`` in windows: ``min sum (a g + b - y)^2 + epsilon |a|^2``, each averaged over the windows."""

    name: ClassVar[str] = "guided_filter"

    scale: int | None = whole(None, 1, 64)
    """How many times larger the guide is; nothing takes the scale of the degradation."""
    radius: int = whole(4, 1, 256)
    """Of the window, in pixels of the image."""
    epsilon: float = number(1e-3, 1e-9, 10.0)
    """What a slope of one costs, in squared fractions of the range: edges of the guide that are much weaker
    than
    its root are smoothed away."""

    def card(self, name: str) -> Card:
        """Sums over the whole image are behind its means: other bits in tiles."""
        return Card(
            name=name,
            summary="Local affine maps of a guide's bands (guided filter).",
            task="general",
            scale=self.scale,
            halo=None,
            tile_exact=False,
            needs=("guide",),
            source="He, Sun and Tang 2013, Guided Image Filtering",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the guide's H and W."""
        scale = self.scale if self.scale is not None else condition.scale
        guide_BPHW = guide_of(condition, degraded_BCHW, scale)
        image_BChw, coarse_BPhw = degraded_BCHW, seen_coarsely(guide_BPHW, scale)
        # Numbers about zero: differences of squares lose fewer digits.
        centre_BP11 = coarse_BPhw.mean(dim=(-2, -1), keepdim=True)
        coarse_BPhw, guide_BPHW = coarse_BPhw - centre_BP11, guide_BPHW - centre_BP11
        slope_BCPhw, offset_BChw = self._coefficients(image_BChw, coarse_BPhw)
        batch, channels, bands = slope_BCPhw.shape[:3]
        slope_BCPHW = enlarged(slope_BCPhw.flatten(1, 2), scale).view(
            batch, channels, bands, *guide_BPHW.shape[-2:]
        )
        sharp_BCHW = (slope_BCPHW * guide_BPHW[:, None]).sum(2) + enlarged(offset_BChw, scale)
        if scale == 1:
            return sharp_BCHW
        # What windows smooth away of the image was seen all the same.
        return sharp_BCHW + enlarged(image_BChw - seen_coarsely(sharp_BCHW, scale), scale)

    def _coefficients(self, image_BChw: Tensor, guide_BPhw: Tensor) -> tuple[Tensor, Tensor]:
        """BCPhw slopes and BChw offsets, each the mean of the windows that a pixel is in."""
        bands = guide_BPhw.shape[1]
        mean_BPhw, mean_BChw = self._mean(guide_BPhw), self._mean(image_BChw)
        squares_BPPhw = guide_BPhw[:, :, None] * guide_BPhw[:, None]
        covariance_BPPhw = self._mean_of(squares_BPPhw) - mean_BPhw[:, :, None] * mean_BPhw[:, None]
        products_BCPhw = image_BChw[:, :, None] * guide_BPhw[:, None]
        cross_BCPhw = self._mean_of(products_BCPhw) - mean_BChw[:, :, None] * mean_BPhw[:, None]
        ridge_PP = self.epsilon * torch.eye(bands, dtype=guide_BPhw.dtype, device=guide_BPhw.device)
        system_BhwPP = covariance_BPPhw.permute(0, 3, 4, 1, 2) + ridge_PP
        slope_BhwPC = torch.linalg.solve(system_BhwPP, cross_BCPhw.permute(0, 3, 4, 2, 1))
        slope_BCPhw = slope_BhwPC.permute(0, 4, 3, 1, 2)
        offset_BChw = mean_BChw - (slope_BCPhw * mean_BPhw[:, None]).sum(2)
        return self._mean_of(slope_BCPhw), self._mean(offset_BChw)

    def _mean_of(self, values_BXYhw: Tensor) -> Tensor:
        return self._mean(values_BXYhw.flatten(1, 2)).view_as(values_BXYhw)

    def _mean(self, image_BChw: Tensor) -> Tensor:
        """Over the window, as much of it as lies within the image."""
        side = 2 * self.radius + 1
        return F.avg_pool2d(image_BChw, side, stride=1, padding=self.radius, count_include_pad=False)
