"""Enlarging by interpolation: the baselines of super-resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.operators.resample import imresize
from models.solvers.solver import Solver, choice, whole

_RADIUS = {"bicubic": 2, "lanczos": 3, "bilinear": 1}


@dataclass(frozen=True, kw_only=True)
class Interpolation(Solver):
    """MATLAB's ``imresize`` (Keys 1981 with a = -1/2 for bicubic), float output without rounding."""

    name: ClassVar[str] = "interpolation"

    kernel: str = choice("bicubic", "lanczos", "bilinear")
    """The interpolation kernel; ``lanczos`` has three lobes."""
    scale: int | None = whole(None, 1, 64)
    """How many times larger; nothing takes the scale of the degradation."""

    def card(self, name: str) -> Card:
        """Exact under tiling with the kernel's radius as halo."""
        by = "the scale of the degradation" if self.scale is None else f"{self.scale}"
        return Card(
            name=name,
            summary=f"Enlarges by {by} with MATLAB's {self.kernel} imresize.",
            task="super-resolution",
            scale=self.scale,
            halo=_RADIUS[self.kernel],
            source="Keys 1981, Cubic convolution interpolation; MATLAB imresize",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and ``scale`` times H and W."""
        scale = self.scale if self.scale is not None else condition.scale
        if scale == 1:
            return degraded_BCHW.clone()
        height, width = degraded_BCHW.shape[-2:]
        return imresize(degraded_BCHW, height * scale, width * scale, kernel=self.kernel)
