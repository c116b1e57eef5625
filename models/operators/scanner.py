"""The rays of computed tomography: what each element of a detector sees of an image, view by view.

Kak and Slaney, "Principles of Computerized Tomographic Imaging", IEEE Press 1988, sections 3.3 (parallel
rays) and 3.4.1 (a fan of equal angles).

Lengths are in pixels; the origin is the image's centre, x points right and y down. A view turns the scanner
counter-clockwise; in the first one it looks down the columns.

Shapes: H and W height and width, D detector elements, S places along a ray. All tensors are float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Scanner(Protocol):
    """The geometry of one scan of images of one size."""

    @property
    def elements(self) -> int:
        """D, odd: the element in the middle sees the image's centre."""
        ...

    @property
    def views(self) -> int:
        """From how many sides, evenly over half a turn or a whole one."""
        ...

    def rays(self, view: int) -> tuple[Tensor, Tensor]:
        """DS: x and y of places one pixel apart along each ray, beyond the image on both sides."""
        ...

    def shadows(self, view: int) -> tuple[Tensor, Tensor]:
        """HW: the element, with its fraction, that sees a pixel, and how much it counts for this pixel."""
        ...

    def measured_weights(self) -> Tensor:
        """D: factors of the measured values, before the filter."""
        ...

    def ramp(self) -> Tensor:
        """D: the even filter of back-projection, for lags 0 to D - 1."""
        ...


@dataclass(frozen=True)
class ParallelScanner:
    """Rays side by side, one pixel apart, over half a turn."""

    height: int
    width: int
    views: int

    @property
    def elements(self) -> int:
        """As many as see the image's corners from every side."""
        return 2 * math.ceil(_radius(self.height, self.width)) + 1

    def rays(self, view: int) -> tuple[Tensor, Tensor]:
        """DS: x and y."""
        sine, cosine = self._turn(view)
        across_D1 = _centred(self.elements)[:, None]
        along_S = _centred(self.elements)
        return across_D1 * cosine + along_S * sine, along_S * cosine - across_D1 * sine

    def shadows(self, view: int) -> tuple[Tensor, Tensor]:
        """HW: elements and weights."""
        sine, cosine = self._turn(view)
        across_HW = _centred(self.width) * cosine - _centred(self.height)[:, None] * sine
        weight = math.pi / self.views
        return across_HW + self.elements // 2, torch.full_like(across_HW, weight)

    def measured_weights(self) -> Tensor:
        """D: ones."""
        return torch.ones(self.elements, dtype=torch.float64)

    def ramp(self) -> Tensor:
        """D: equation 61."""
        lag_D = torch.arange(self.elements, dtype=torch.float64)
        ramp_D = torch.where(lag_D % 2 == 1, -1 / (math.pi * lag_D).square(), 0.0)
        ramp_D[0] = 0.25
        return ramp_D

    def _turn(self, view: int) -> tuple[float, float]:
        angle = math.pi * view / self.views
        return math.sin(angle), math.cos(angle)


@dataclass(frozen=True)
class FanScanner:
    """Rays from one source at equal angles, one pixel apart at the image's centre, over a whole turn."""

    height: int
    width: int
    views: int
    distance: float
    """From the source to the image's centre, in half diagonals of the image, more than 1."""

    @property
    def elements(self) -> int:
        """As many as see the image's corners from every side."""
        return 2 * math.ceil(math.asin(1 / self.distance) * self._source) + 1

    @property
    def _source(self) -> float:
        """Distance of the source; one over the angle between two rays."""
        return self.distance * _radius(self.height, self.width)

    def rays(self, view: int) -> tuple[Tensor, Tensor]:
        """DS: x and y."""
        sine, cosine = self._turn(view)
        angle_D1 = self._angles()[:, None]
        # Counted from where the ray passes the centre, so that few places suffice for all.
        along_S = _centred(2 * math.ceil(_radius(self.height, self.width)) + 1)
        length_DS = self._source * torch.cos(angle_D1) + along_S
        ahead_DS = length_DS * torch.cos(angle_D1) - self._source
        aside_DS = length_DS * torch.sin(angle_D1)
        return ahead_DS * sine + aside_DS * cosine, ahead_DS * cosine - aside_DS * sine

    def shadows(self, view: int) -> tuple[Tensor, Tensor]:
        """HW: elements and weights."""
        sine, cosine = self._turn(view)
        x_1W, y_H1 = _centred(self.width)[None], _centred(self.height)[:, None]
        ahead_HW = x_1W * sine + y_H1 * cosine + self._source
        aside_HW = x_1W * cosine - y_H1 * sine
        element_HW = torch.atan2(aside_HW, ahead_HW) * self._source + self.elements // 2
        return element_HW, 2 * math.pi / self.views / (ahead_HW.square() + aside_HW.square())

    def measured_weights(self) -> Tensor:
        """D: equation 92."""
        return self._source * torch.cos(self._angles())

    def ramp(self) -> Tensor:
        """D: equation 93, times the angle between two rays."""
        lag_D = torch.arange(self.elements, dtype=torch.float64)
        sine_D = torch.sin(lag_D / self._source) * math.pi
        ramp_D = torch.where(lag_D % 2 == 1, -0.5 / sine_D.square(), 0.0) / self._source
        ramp_D[0] = self._source / 8
        return ramp_D

    def _angles(self) -> Tensor:
        """D: of the rays against the one through the centre."""
        return _centred(self.elements) / self._source

    def _turn(self, view: int) -> tuple[float, float]:
        angle = 2 * math.pi * view / self.views
        return math.sin(angle), math.cos(angle)


def _radius(height: int, width: int) -> float:
    """Half the image's diagonal."""
    return math.hypot(height, width) / 2


def _centred(count: int) -> Tensor:
    """Places one pixel apart around 0."""
    return torch.arange(count, dtype=torch.float64) - (count - 1) / 2
