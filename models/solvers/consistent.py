"""A restored image that gives the input back when it is degraded again.

``x + A+ (y - A x)``: the restorer's image ``x`` is changed by the least that makes ``A x = y``; only what the
degradation destroys, its null space, is left to the restorer. Schwab, Antholzer and Haltmeier 2019, "Deep
null space learning for inverse problems"; for super-resolution, Bahat and Michaeli 2020, "Explorable super
resolution".

Shapes: B batch, C channels, H and W height and width of the degraded image.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition, RestorerError
from models.operators.base import LinearOperator
from models.operators.resample import Area, Bicubic, Bilinear, Lanczos, axis_weights
from models.solvers.biharmonic import known_pixels
from models.solvers.chebyshev import chebyshev, iterations_for
from models.solvers.conjugate_gradient import conjugate_gradient
from models.solvers.forward import Forward
from models.solvers.solver import choice, number
from models.solvers.wrapper import Wrapper

_SHRINKS = {"bicubic": (Bicubic, 2), "area": (Area, 0), "bilinear": (Bilinear, 1), "lanczos": (Lanczos, 3)}
"""Operator, and its kernel's radius in whole pixels of the smaller image."""
_MOST_ITERATIONS = 200
"""Of conjugate gradients, where a kernel nearly removes some frequencies."""


@dataclass(frozen=True, kw_only=True)
class Consistent(Wrapper):
    """Any restorer, and any linear degradation that has an adjoint: blur, resampling, and gaps under a mask.

    For inputs without much noise: what noise there is comes back with the data.
    """

    name: ClassVar[str] = "consistent"
    refusal: ClassVar[str] = "fits the data as it is"

    degradation: str = choice("given", "bicubic", "area", "bilinear", "lanczos")
    """What the image is to be consistent with: the degradation that is known of it, or MATLAB's imresize with
    this kernel, by the restorer's scale, whatever is known; where nothing is known, "given" takes bicubic."""
    tolerance: float = number(0.01, 1e-5, 1.0)
    """Largest share of the data residual that is left."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.degradation != "given" and (self.restorer.card.scale or 1) == 1:
            raise ValueError(
                f'{self.name}: degradation = "{self.degradation}" is for restorers that enlarge by a fixed '
                f'scale, and {self.restorer.card.name} does not; use degradation = "given"'
            )

    def card(self, name: str) -> Card:
        """The wrapped restorer's facts. Tiles are exact where its own are and the degradation is fixed."""
        inner = self.restorer.card
        summary = f"{inner.name}, changed by the least that makes it give the input back"
        source = f"{inner.source}; Schwab et al. 2019, Deep null space learning"
        facts = {"multiple_of": 1, "minimum_size": 1, "source": source.removeprefix("; ")}
        if self.degradation == "given":
            takes = tuple(each for each in ("operators", "mask") if each not in inner.needs)
            takes = (*takes, *(each for each in inner.takes if each not in takes))
            summary = f"{summary} when it is degraded again."
            return self._card(name, summary, halo=None, tile_exact=False, takes=takes, **facts)
        return self._card(
            name,
            f"{summary} when {self.degradation} makes it smaller again.",
            halo=None if inner.halo is None else inner.halo + self._reach(),
            # Padding to a multiple sits on other sides of a tile.
            tile_exact=inner.tile_exact and inner.multiple_of == 1,
            **facts,
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the restorer's scale times H and W. Raises ``RestorerError`` as ``Forward``."""
        restored_BCHW = self.restorer(degraded_BCHW, condition=condition)
        if self.degradation != "given":
            return self._fitted_by_polynomial(restored_BCHW, degraded_BCHW)
        return self._fitted_by_gradients(restored_BCHW, degraded_BCHW, condition)

    def _fitted_by_polynomial(self, restored_BCHW: Tensor, degraded_BCHW: Tensor) -> Tensor:
        scale = self.restorer.card.scale or 1
        operators: tuple[LinearOperator, ...] = (_SHRINKS[self.degradation][0](scale),)
        forward = Forward(Condition(scale=scale, operators=operators), degraded_BCHW)
        low, high = _spectrum(self.degradation, scale)
        dual_BCHW = chebyshev(
            lambda image_BCHW: forward(forward.adjoint(image_BCHW)),
            degraded_BCHW - forward(restored_BCHW),
            low,
            high,
            iterations_for(self.tolerance, low, high),
        )
        return restored_BCHW + forward.adjoint(dual_BCHW)

    def _fitted_by_gradients(
        self, restored_BCHW: Tensor, degraded_BCHW: Tensor, condition: Condition
    ) -> Tensor:
        forward = Forward(self._known(condition), degraded_BCHW)
        masked = condition.mask_B1HW is not None
        known = known_pixels(condition, degraded_BCHW).bool() if masked else degraded_BCHW.new_ones(()).bool()

        def seen(image_BCHW: Tensor) -> Tensor:
            # Hidden pixels may hold anything: a product with the mask would keep NaN.
            return torch.where(known, image_BCHW, 0.0)

        dual_BCHW = conjugate_gradient(
            lambda image_BCHW: seen(forward(forward.adjoint(image_BCHW))),
            seen(degraded_BCHW - forward(restored_BCHW)),
            torch.zeros_like(degraded_BCHW),
            iterations=_MOST_ITERATIONS,
            tolerance=self.tolerance,
        )
        return restored_BCHW + forward.adjoint(dual_BCHW)

    def _known(self, condition: Condition) -> Condition:
        if condition.operators or condition.mask_B1HW is not None:
            return condition
        scale = self.restorer.card.scale or condition.scale
        if scale == 1:
            raise RestorerError("CONDITION_MISSING", f"{self.name} needs the operators of the degradation")
        return Condition(scale=scale, operators=(Bicubic(scale),))

    def _reach(self) -> int:
        """How far beside itself a pixel of the correction looks at the restored image, in input pixels."""
        radius, scale = _SHRINKS[self.degradation][1], self.restorer.card.scale or 1
        again = iterations_for(self.tolerance, *_spectrum(self.degradation, scale)) - 1
        return 2 * radius + again * max(2 * radius - 1, 0)


@functools.cache
def _spectrum(kernel: str, scale: int) -> tuple[float, float]:
    """Bounds of the eigenvalues of ``A A'``, products of those of the axes, for images of any size."""
    side = 128
    matrix = axis_weights(side * scale, side, kernel)
    dense = torch.stack([matrix.transposed(unit[:, None])[:, 0] for unit in torch.eye(side).double()])
    values = torch.linalg.eigvalsh(dense @ dense.T)
    # Those of shorter sides lie between them, those of longer ones hardly beyond.
    return (0.99 * float(values[0])) ** 2, (1.01 * float(values[-1])) ** 2
