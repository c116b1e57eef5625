"""Lee's filters against speckle: what varies no more than speckle does becomes its local mean.

Lee 1980, "Digital image enhancement and noise filtering by use of local statistics"; refined in Lee 1981,
"Refined filtering of image noise using local statistics", where in windows of large variance the statistics
come from the half of the window on the pixel's own side of the edge. What is large follows from speckle: the
variance of a sample of gamma values has itself a known deviation.

Shapes: B batch, C channels, H and W height and width, K side of the window, M masks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.boundary import pad_mirrored
from models.solvers.solver import Solver, choice, number, whole

_REFINED_RADIUS = 3
"""Lee 1981 works on 7 x 7 pixels."""
_EDGE = 4.0
"""Deviations by which the variance of a window exceeds that of speckle where there is an edge. Half a window
has more noise than all of it: it is worth its price only there."""


@dataclass(frozen=True, kw_only=True)
class Lee(Solver):
    """``mean + k (pixel - mean)``: k is the share of the local variance that speckle does not explain."""

    name: ClassVar[str] = "lee"
    version: ClassVar[int] = 2

    looks: float = number(1.0, 0.5, 1000.0)
    """The equivalent number of looks."""
    domain: str = choice("intensity", "amplitude")
    """What the pixels are."""
    radius: int = whole(3, 1, 20)
    """Half the window's side, in pixels; the refined filter's is 3."""
    windows: str = choice("square", "edge_aligned")
    """Where the statistics come from: all of the window, or, beside edges, the half on the pixel's side."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.windows == "edge_aligned" and self.radius != _REFINED_RADIUS:
            raise ValueError(f"lee: radius must be 3 with edge_aligned windows; got {self.radius!r}")

    def card(self, name: str) -> Card:
        """Exact under tiling with the window's radius as halo."""
        refined = "Refined Lee" if self.windows == "edge_aligned" else "Lee"
        return Card(
            name=name,
            summary=f"{refined} filter against speckle of {self.looks:g} looks in {self.domain} images.",
            task="denoising",
            halo=self.radius,
            source="Lee 1980, IEEE TPAMI; Lee 1981, Computer Graphics and Image Processing",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        power = 2 if self.domain == "amplitude" else 1
        intensity_BCHW = degraded_BCHW.clamp(min=0) ** power
        mean_BCHW, square_BCHW = _square(intensity_BCHW, self.radius)
        if self.windows == "edge_aligned":
            edge_BCHW = square_BCHW > self._most_without_edge() * mean_BCHW.square()
            halves = _edge_aligned(intensity_BCHW, self.radius)
            mean_BCHW, square_BCHW = (
                torch.where(edge_BCHW, *pair) for pair in zip(halves, (mean_BCHW, square_BCHW), strict=True)
            )
        variance_BCHW = (square_BCHW - mean_BCHW.square()).clamp(min=0)
        speckle = 1 / self.looks
        scene_BCHW = (variance_BCHW - speckle * mean_BCHW.square()).clamp(min=0) / (1 + speckle)
        share_BCHW = scene_BCHW / variance_BCHW.clamp(min=1e-12)
        restored_BCHW = mean_BCHW + share_BCHW * (intensity_BCHW - mean_BCHW)
        return restored_BCHW.clamp(min=0) ** (1 / power)

    def _most_without_edge(self) -> float:
        """Mean square of a window of nothing but speckle, at the most, where its mean is 1."""
        pixels, excess = (2 * self.radius + 1) ** 2, 6 / self.looks
        return 1 + (1 + _EDGE * math.sqrt((2 + excess) / pixels)) / self.looks


def _square(image_BCHW: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """BCHW, BCHW: means of values and of squares."""
    padded_BCHW = pad_mirrored(image_BCHW, radius)
    side = 2 * radius + 1
    return F.avg_pool2d(padded_BCHW, side, stride=1), F.avg_pool2d(padded_BCHW.square(), side, stride=1)


def _edge_aligned(image_BCHW: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """BCHW, BCHW: means over the half of the window on the pixel's side of the strongest edge."""
    batch, channels, height, width = image_BCHW.shape
    padded_P1HW = pad_mirrored(image_BCHW, radius).flatten(0, 1)[:, None]
    masks_MKK = _halves().to(image_BCHW)
    weights = (masks_MKK / masks_MKK.sum(dim=(1, 2), keepdim=True))[:, None]
    side_P1HW = _side_of_edge(F.avg_pool2d(padded_P1HW, 3, stride=1))
    means = [
        F.conv2d(each, weights).gather(1, side_P1HW).view(batch, channels, height, width)
        for each in (padded_P1HW, padded_P1HW.square())
    ]
    return means[0], means[1]


def _side_of_edge(smooth_P1HW: Tensor) -> Tensor:
    """P1HW: which of the eight halves; means of 3 x 3 pixels, two apart, stand for nine parts of a window."""
    height, width = smooth_P1HW.shape[-2] - 4, smooth_P1HW.shape[-1] - 4
    part = {
        (down, right): smooth_P1HW[..., 2 + 2 * down : 2 + 2 * down + height, 2 + 2 * right :][..., :width]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    }
    slopes, nearer = [], []
    for ahead in _DIRECTIONS:
        front, back = (
            torch.stack([part[each] for each in _three(*way)]).sum(dim=0)
            for way in (ahead, (-ahead[0], -ahead[1]))
        )
        slopes.append((front - back).abs())
        centre, front, back = part[0, 0], part[ahead], part[-ahead[0], -ahead[1]]
        nearer.append(((front - centre).abs() > (back - centre).abs()).long())
    axis_P1HW = torch.stack(slopes).argmax(dim=0, keepdim=True)
    return 2 * axis_P1HW[0] + torch.stack(nearer).gather(0, axis_P1HW)[0]


_DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))


def _three(down: int, right: int) -> list[tuple[int, int]]:
    """The three of the eight parts around the centre that lie most in this direction."""
    around = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    # Between straight and slanted parts, the angle to the direction decides.
    return sorted(around, key=lambda at: -(at[0] * down + at[1] * right) / (at[0] ** 2 + at[1] ** 2) ** 0.5)[
        :3
    ]


def _halves() -> Tensor:
    """MKK: for each direction the half that lies ahead and the half behind, both with the middle line."""
    places = torch.arange(-_REFINED_RADIUS, _REFINED_RADIUS + 1)
    masks = []
    for down, right in _DIRECTIONS:
        along_KK = down * places[:, None] + right * places[None, :]
        masks += [along_KK >= 0, along_KK <= 0]
    return torch.stack(masks).double()
