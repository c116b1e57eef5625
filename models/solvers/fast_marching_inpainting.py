"""Inpainting from the edge of a hole inwards, each pixel from what is known around it.

Telea 2004, "An image inpainting technique based on the fast marching method": the nearer a known pixel, the
more it lies along the front's normal and the nearer to the same distance from the edge, the more it counts;
it speaks by its value continued along its gradient. Telea marches to find the distances approximately and
fills a pixel at a time; here they are exact, and pixels whose distances differ by less than half a pixel are
filled together.

Shapes: B batch, C channels, H and W height and width, P pixels of a front, D offsets to neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.biharmonic import each_filled
from models.solvers.solver import Solver, number, whole

_FRONT = 0.5
"""Distances that differ by less are filled together, in pixels."""
_AT_ONCE = 1 << 12
"""So many pixels' neighbourhoods are held at once."""


@dataclass(frozen=True, kw_only=True)
class FastMarchingInpainting(Solver):
    """Fills holes front by front; known pixels stay as they are."""

    name: ClassVar[str] = "fast_marching_inpainting"

    radius: int = whole(7, 1, 30)
    """How far around a pixel known ones count, in pixels."""
    slope: float = number(0.25, 0.0, 1.0)
    """Share of a neighbour's gradient along which its value is continued; 1 is the paper's, 0 a mean."""

    def card(self, name: str) -> Card:
        """Wide holes are filled from far away."""
        return Card(
            name=name,
            summary="Fills holes front by front from their edges (Telea), known pixels untouched.",
            task="inpainting",
            halo=None,
            tile_exact=False,
            needs=("mask",),
            source="Telea 2004, An image inpainting technique based on the fast marching method",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW, clipped to the range of each channel's known pixels."""
        return each_filled(self._filled, degraded_BCHW, condition)

    def _filled(self, image_CHW: Tensor, known_HW: Tensor) -> Tensor:
        if bool(known_HW.all()):
            return image_CHW.clone()
        marching = _Marching(image_CHW, known_HW, self.radius, self.slope)
        filled_CHW = marching.run()
        known_CN = image_CHW[:, known_HW]
        low_C11, high_C11 = (limit[:, None, None] for limit in (known_CN.amin(dim=1), known_CN.amax(dim=1)))
        return torch.where(known_HW, image_CHW, filled_CHW.clamp(low_C11, high_C11))


class _Marching:
    """One image while it is filled: planes with a border of nothing known, flattened."""

    def __init__(self, image_CHW: Tensor, known_HW: Tensor, radius: int, slope: float) -> None:
        height, width = known_HW.shape
        self._slope, self._size, self._border = slope, (height, width), radius + 1
        self._across = width + 2 * self._border
        self._value_CN = self._flat(torch.where(known_HW, image_CHW, 0.0))
        self._known_N = self._flat(known_HW[None].to(image_CHW))[0]
        distance_HW = _distance_to_known(known_HW).to(image_CHW)
        self._distance_N = self._flat(distance_HW[None])[0]
        slopes_2HW = torch.stack(torch.gradient(_with_two_pixels(distance_HW)))
        self._normal_2N = self._flat(slopes_2HW[:, :height, :width])
        down_D, right_D = _disc(radius, image_CHW.device)
        self._down_D, self._right_D = down_D.to(image_CHW), right_D.to(image_CHW)
        self._offset_D = down_D * self._across + right_D

    def run(self) -> Tensor:
        """CHW: everything filled."""
        hole_P = (self._distance_N > 0).nonzero()[:, 0]
        front_P = (self._distance_N[hole_P] / _FRONT).floor().long()
        for front in torch.unique(front_P).tolist():
            pixel_P = hole_P[front_P == front]
            parts = [self._filled(part_P) for part_P in torch.split(pixel_P, _AT_ONCE)]
            self._value_CN[:, pixel_P] = torch.cat(parts, dim=1)
            self._known_N[pixel_P] = 1.0
        planes = self._value_CN.view(len(self._value_CN), -1, self._across)
        return planes[:, self._border : -self._border, self._border : -self._border][:, : self._size[0]]

    def _filled(self, pixel_P: Tensor) -> Tensor:
        """CP: what the known pixels around say."""
        near_PD = pixel_P[:, None] + self._offset_D
        weight_PD = self._weight(pixel_P, near_PD)
        share_PD = weight_PD / weight_PD.sum(dim=1, keepdim=True).clamp(min=1e-30)
        value_CPD = self._value_CN[:, near_PD]
        down_CPD, right_CPD = (self._gradient(near_PD, step) for step in (self._across, 1))
        continued_CPD = value_CPD - self._slope * (down_CPD * self._down_D + right_CPD * self._right_D)
        return (share_PD * continued_CPD).sum(dim=-1)

    def _weight(self, pixel_P: Tensor, near_PD: Tensor) -> Tensor:
        """PD: direction, distance and level (Telea 2004, equations 4 to 6), 0 where nothing is known."""
        squared_D = self._down_D.square() + self._right_D.square()
        down_P1, right_P1 = self._normal_2N[:, pixel_P, None]
        along_PD = (down_P1 * self._down_D + right_P1 * self._right_D).abs() / squared_D.sqrt()
        level_PD = 1 / (1 + (self._distance_N[near_PD] - self._distance_N[pixel_P, None]).abs())
        weight_PD: Tensor = self._known_N[near_PD] * along_PD.clamp(min=1e-3) * level_PD / squared_D
        return weight_PD

    def _gradient(self, near_PD: Tensor, step: int) -> Tensor:
        """CPD: difference of the known neighbours along an axis, one-sided where only one is known."""
        ahead, behind = self._known_N[near_PD + step], self._known_N[near_PD - step]
        here = self._value_CN[:, near_PD]
        rise = ahead * (self._value_CN[:, near_PD + step] - here)
        rise += behind * (here - self._value_CN[:, near_PD - step])
        return rise / (ahead + behind).clamp(min=1.0)

    def _flat(self, planes: Tensor) -> Tensor:
        return F.pad(planes, (self._border,) * 4).flatten(1)


def _distance_to_known(known_HW: Tensor) -> Tensor:
    """HW: positive in holes, negative outside, 0 nowhere."""
    from scipy import ndimage  # takes longer to import than the catalog may

    known = known_HW.cpu().numpy()
    inside = ndimage.distance_transform_edt(~known)
    outside = ndimage.distance_transform_edt(known) if not known.all() else 0.0
    return torch.from_numpy(inside - outside).to(known_HW.device)


def _with_two_pixels(plane_HW: Tensor) -> Tensor:
    """At least two pixels along each axis, so that there are differences."""
    rows, columns = (int(side == 1) for side in plane_HW.shape)
    return F.pad(plane_HW[None], (0, columns, 0, rows), mode="replicate")[0] if rows or columns else plane_HW


def _disc(radius: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """D, D: offsets down and right to every neighbour within the radius, the centre left out."""
    side = torch.arange(-radius, radius + 1, device=device)
    down, right = torch.meshgrid(side, side, indexing="ij")
    squared = down.square() + right.square()
    inside = (squared <= radius * radius) & (squared > 0)
    return down[inside], right[inside]
