"""Resampling to a given size, which may be larger or smaller: a step inside chains of degradations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.operators.banded import Separable
from models.operators.resample import KERNELS, axis_weights
from models.operators.separable import SeparableOperator
from models.parameters import choice, flag, whole


@dataclass(frozen=True)
class Resize(SeparableOperator):
    """``imresize`` to ``height`` x ``width``. Linear, with an exact ``prox``."""

    name: ClassVar[str] = "resize"

    height: int = whole(low=1, high=65536)
    """Rows of the result, in [1, 65536]."""
    width: int = whole(low=1, high=65536)
    """Columns of the result, in [1, 65536]."""
    kernel: str = choice(*KERNELS)
    """One of "bicubic", "lanczos", "bilinear", "area", "nearest"."""
    antialias: bool = flag(True)
    """Whether the kernel is widened when shrinking."""

    def _matrices(self, height: int, width: int) -> Separable:
        return Separable(
            axis_weights(height, self.height, self.kernel, self.antialias),
            axis_weights(width, self.width, self.kernel, self.antialias),
        )
