"""How well an image explains a degraded one: residual and gradient, through operators and a mask.

Shapes: R candidates for one image, C channels, H and W height and width, of the wanted or the degraded
image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.contract import Condition
from models.solvers.biharmonic import known_pixels
from models.solvers.forward import Forward


class DataTerm:
    """``sum |A x - y|^2`` over the known values, or the sum of absolute values.

    By the operators' adjoints, so that nothing needs to be differentiable. Raises as ``Forward`` and
    ``known_pixels``.
    """

    def __init__(self, degraded_1CHW: Tensor, condition: Condition, *, absolute: bool = False) -> None:
        self._degraded_1CHW, self._absolute = degraded_1CHW, absolute
        self._forward = Forward(condition, degraded_1CHW)
        masked = condition.mask_B1HW is not None
        known_11HW = known_pixels(condition, degraded_1CHW) if masked else degraded_1CHW.new_ones(1, 1, 1, 1)
        self._known_11HW = known_11HW.to(degraded_1CHW)
        self.values = int(self._known_11HW.expand_as(degraded_1CHW).sum())
        """How many values of the degraded image are known."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the wanted image."""
        return self._forward.size

    @torch.no_grad()
    def residual(self, image_RCHW: Tensor) -> Tensor:
        """RCHW of the degraded size: ``A x - y``, 0 where nothing is known."""
        degraded_RCHW = self._forward(image_RCHW.to(self._degraded_1CHW))
        # Hidden pixels may hold anything: a product with the mask would keep NaN.
        return torch.where(self._known_11HW > 0, degraded_RCHW - self._degraded_1CHW, 0.0)

    @torch.no_grad()
    def gradient(self, residual_RCHW: Tensor) -> Tensor:
        """RCHW of the wanted size: of the sum, with respect to x."""
        return self._forward.adjoint(residual_RCHW.sign() if self._absolute else 2 * residual_RCHW)

    def energy(self, residual_RCHW: Tensor) -> Tensor:
        """RHW: the sum's share of each pixel."""
        return (residual_RCHW.abs() if self._absolute else residual_RCHW.square()).sum(dim=1)

    def root_mean_square(self, residual_RCHW: Tensor) -> Tensor:
        """R: over the known values."""
        return (residual_RCHW.square().sum(dim=(1, 2, 3)) / self.values).sqrt()
