"""What of a region is explained: one number of its restored pixels.

Shapes: B batch, C channels, H and W height and width of the region.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Region:
    """A rectangle of the output, in its pixels; ``region(restored_BCHW)`` cuts it out."""

    left: int
    top: int
    width: int
    height: int

    def __call__(self, restored_BCHW: Tensor) -> Tensor:
        """Its pixels."""
        return restored_BCHW[..., self.top : self.top + self.height, self.left : self.left + self.width]


def detail(region_BCHW: Tensor) -> Tensor:
    """Sum of absolute differences between neighbours: edges and texture (Gu and Dong 2021, section 3.2)."""
    double = region_BCHW.double()
    return double.diff(dim=-1).abs().sum() + double.diff(dim=-2).abs().sum()


def level(region_BCHW: Tensor) -> Tensor:
    """Sum of the values: how bright the region is."""
    return region_BCHW.double().sum()


TARGETS: dict[str, Callable[[Tensor], Tensor]] = {"detail": detail, "level": level}
"""Each gives one number, differentiable almost everywhere."""
