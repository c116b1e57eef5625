"""Resampling to a given size, which may be larger or smaller: a step inside chains of degradations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from models.operators.banded import Separable
from models.operators.resample import KERNELS, axis_weights
from models.parameters import Checked, choice, flag, whole


@dataclass(frozen=True)
class Resize(Checked):
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

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The image in its new size, not clipped."""
        return self._matrices(*image_BCHW.shape[2:])(image_BCHW)

    def adjoint(self, image_BCHW: Tensor, height: int, width: int) -> Tensor:
        """``A'`` of an image in the output's space; ``height`` and ``width`` are the input's."""
        return self._matrices(height, width).adjoint(image_BCHW)

    def prox(self, estimate_BCHW: Tensor, observed_BCHW: Tensor, rho: float) -> Tensor:
        """``argmin_x |A x - observed|^2 + rho |x - estimate|^2``, exactly."""
        return self._matrices(*estimate_BCHW.shape[2:]).prox(estimate_BCHW, observed_BCHW, rho)

    def _matrices(self, height: int, width: int) -> Separable:
        return Separable(
            axis_weights(height, self.height, self.kernel, self.antialias),
            axis_weights(width, self.width, self.kernel, self.antialias),
        )
