"""The linear part of a degradation as one operator, for solvers that invert it.

Shapes: B batch, C channels, H and W height and width of the wanted image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from models.contract import Condition, RestorerError
from models.operators.base import LinearOperator


class Forward:
    """``A = A_n ... A_1`` of a condition, from the wanted size to the degraded one.

    Raises ``RestorerError``: ``CONDITION_MISSING`` where the operators do not lead to the size of the
    degraded image, ``TOO_SMALL`` where an operator refuses an image of this size.
    """

    def __init__(self, condition: Condition, degraded_BCHW: Tensor) -> None:
        self._operators = linear_part(condition.operators)
        # Linear operators have nothing left to draw; the call asks for a generator all the same.
        self._rng = torch.Generator(device=degraded_BCHW.device)
        height, width = (side * condition.scale for side in degraded_BCHW.shape[-2:])
        self._sizes = [(height, width)]
        image_1CHW = degraded_BCHW.new_zeros((1, degraded_BCHW.shape[1], height, width))
        for operator in self._operators:
            try:
                image_1CHW = operator(image_1CHW, self._rng)
            except ValueError as error:
                raise RestorerError("TOO_SMALL", str(error)) from None
            self._sizes.append((image_1CHW.shape[-2], image_1CHW.shape[-1]))
        if self._sizes[-1] != tuple(degraded_BCHW.shape[-2:]):
            raise RestorerError(
                "CONDITION_MISSING",
                f"the operators turn {height} x {width} into {self._sizes[-1]}, the degraded image is "
                f"{tuple(degraded_BCHW.shape[-2:])}: give the scale and all operators that change the size",
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the wanted image."""
        return self._sizes[0]

    def __call__(self, image_BCHW: Tensor) -> Tensor:
        """``A`` applied to an image of the wanted size."""
        for operator in self._operators:
            image_BCHW = operator(image_BCHW, self._rng)
        return image_BCHW

    def adjoint(self, degraded_BCHW: Tensor) -> Tensor:
        """``A'`` applied to an image of the degraded size."""
        for operator, (height, width) in zip(reversed(self._operators), self._sizes[-2::-1], strict=True):
            degraded_BCHW = operator.adjoint(degraded_BCHW, height, width)
        return degraded_BCHW

    def squared_norm(self, like_BCHW: Tensor, steps: int = 12) -> float:
        """Upper estimate of the largest eigenvalue of ``A'A``, by the power method."""
        height, width = self.size
        rng = torch.Generator(device=like_BCHW.device).manual_seed(0)
        shape = (1, like_BCHW.shape[1], height, width)
        vector = torch.rand(shape, generator=rng, dtype=like_BCHW.dtype, device=like_BCHW.device)
        value = 0.0
        for _ in range(steps):
            vector = vector / vector.norm()
            vector = self.adjoint(self(vector))
            value = float(vector.norm())
        # The method approaches from below; step sizes must not be too long.
        return 1.1 * value


def linear_part(operators: Sequence[LinearOperator]) -> tuple[LinearOperator, ...]:
    """The operators without the rounding that some can do: their adjoint is that of the linear part."""
    return tuple(
        cast(LinearOperator, dataclasses.replace(cast(Any, operator), rounding="none"))
        if getattr(operator, "rounding", "none") != "none"
        else operator
        for operator in operators
    )
