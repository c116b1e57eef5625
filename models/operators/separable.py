"""Operators that are one banded matrix along H and one along W."""

from __future__ import annotations

from torch import Generator, Tensor

from models.operators.banded import Separable
from models.parameters import Checked


class SeparableOperator(Checked):
    """Linear, with an exact ``prox``. Raises ``ValueError`` for sizes that its matrices refuse."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The worse image, not clipped."""
        return self._matrices(*image_BCHW.shape[2:])(image_BCHW)

    def adjoint(self, image_BCHW: Tensor, height: int, width: int) -> Tensor:
        """``A'`` of an image in the output's space; ``height`` and ``width`` are the input's."""
        return self._matrices(height, width).adjoint(image_BCHW)

    def prox(self, estimate_BCHW: Tensor, observed_BCHW: Tensor, rho: float) -> Tensor:
        """``argmin_x |A x - observed|^2 + rho |x - estimate|^2``, exactly."""
        return self._matrices(*estimate_BCHW.shape[2:]).prox(estimate_BCHW, observed_BCHW, rho)

    def _matrices(self, height: int, width: int) -> Separable:
        """For images of that size."""
        raise NotImplementedError
