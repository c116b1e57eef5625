"""What a loss of restoration is, and the checks that losses share.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from models.parameters import Range, require


class Loss(Protocol):
    """``loss(restored_BCHW, target_BCHW)``: images in [0, 1] -> a scalar that falls as they grow alike.

    All are means over images, so that the loss of a batch is the mean of the losses of its parts.
    """

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """A scalar in the images' dtype; differentiable also where the images are equal."""
        ...


@runtime_checkable
class MaskedLoss(Protocol):
    """A loss that also takes where the pixels were known: 1 known, 0 missing."""

    needs_mask: bool

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
        """A scalar, as ``Loss`` gives."""
        ...


@runtime_checkable
class HalfWidthLoss(Protocol):
    """A loss that judges what a network says of its own errors."""

    needs_half_width: bool

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor, half_width_BCHW: Tensor) -> Tensor:
        """A scalar, as ``Loss`` gives, but for its least value; half-widths are positive fractions of 1."""
        ...


AnyLoss = Loss | MaskedLoss | HalfWidthLoss


def require_number(owner: str, low: float, high: float = math.inf, **values: Any) -> None:
    """``ValueError`` naming the argument unless each value is a finite number in [low, high]."""
    require(owner, Range(low, high), **values)
