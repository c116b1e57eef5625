"""Which input pixels a region of the output was made of: integrated gradients along a path of blur.

Gu and Dong, "Interpreting Super-Resolution Networks with Local Attribution Maps", CVPR 2021, section 3: the
path begins at the blurred image. Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017:
what the pixels are given adds up to what changed (completeness).

Shapes: C channels, H and W height and width of the input.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.insight.blur_path import blurred
from models.insight.tracing import Traced, gradient_of

Target = Callable[[Tensor], Tensor]
"""BCHW of the restored region -> one number, whose change is shared out."""

SIGMA = 17.0
"""Standard deviation in pixels of the blur at the beginning, as in the paper."""
TOLERANCE = 1e-3
"""Most by which the shares may miss the change, as a fraction of it."""
OnStep = Callable[[int, float | None], None]
"""Told after each piece: how many there are, and, once the whole path is covered, how far the shares miss the
change, as a fraction of it."""
FIRST_STEPS, MOST_STEPS = 24, 384
"""Pieces of the path: at first, and at most."""


@dataclass(frozen=True)
class Attribution:
    """How much each input pixel added to the target, from the blurred image to the image itself."""

    share_CHW: Tensor
    """Signed, in units of the target."""
    change: float
    """Of the target over the whole path: what the shares add up to."""
    steps: int

    @property
    def error(self) -> float:
        """How far the shares miss the change, as a fraction of it."""
        missed = abs(float(self.share_CHW.double().sum()) - self.change)
        return missed / abs(self.change) if self.change else missed

    @property
    def diffusion(self) -> float:
        """Diffusion index of the paper, 0..100: 100 where all pixels matter alike, 0 where one does."""
        weight_N = self.share_CHW.abs().sum(0).flatten().double().sort().values
        total, count = float(weight_N.sum()), len(weight_N)
        if not total:
            return 0.0
        places_N = torch.arange(1, count + 1, dtype=torch.float64, device=weight_N.device)
        gini = float(((2 * places_N - count - 1) * weight_N).sum()) / (count * total)
        return 100 * (1 - gini)


def attribute(
    restored: Traced, image_1CHW: Tensor, target: Target, on_step: OnStep | None = None
) -> Attribution:
    """Shares the change of ``target(restored(image))`` out to the pixels.

    The path is a chain of straight pieces between blurred images. Each piece gets the gradient at its middle;
    by the target's values at its ends it is known how wrong that is, and the worst are halved until the sum
    is right to ``TOLERANCE`` or there are ``MOST_STEPS``; ``on_step`` is told of each.
    """
    path = _Path(restored, image_1CHW, target)
    steps = SIGMA * (torch.arange(FIRST_STEPS + 1).double() / FIRST_STEPS) ** 2  # details go first
    pieces: list[_Piece] = []
    for low, high in zip(steps[:-1].tolist(), steps[1:].tolist(), strict=True):
        heapq.heappush(pieces, path.piece(low, high))
        if on_step:
            on_step(len(pieces), None)
    change = path.value(0.0) - path.value(SIGMA)
    while len(pieces) < MOST_STEPS:
        missed = abs(math.fsum(each.missed for each in pieces))
        if on_step:
            on_step(len(pieces), missed / abs(change) if change else missed)
        if missed <= TOLERANCE / 2 * abs(change):
            break
        worst = heapq.heappop(pieces)
        middle = (worst.low + worst.high) / 2
        for low, high in ((worst.low, middle), (middle, worst.high)):
            heapq.heappush(pieces, path.piece(low, high))
    share_CHW = torch.stack([each.share_CHW for each in pieces]).double().sum(0)
    return Attribution(share_CHW, change, len(pieces))


@dataclass(frozen=True)
class _Piece:
    """From the image blurred by ``high`` to the one blurred by ``low``."""

    low: float
    high: float
    share_CHW: Tensor
    missed: float

    def __lt__(self, other: _Piece) -> bool:
        return abs(self.missed) > abs(other.missed)


class _Path:
    def __init__(self, restored: Traced, image_1CHW: Tensor, target: Target) -> None:
        self._restored, self._image_1CHW, self._target = restored, image_1CHW.detach().clone(), target
        self._values: dict[float, float] = {}

    def value(self, sigma: float) -> float:
        """Of the target at one end of a piece."""
        if sigma not in self._values:
            with torch.no_grad():
                found = self._target(self._restored(blurred(self._image_1CHW, sigma)))
            self._values[sigma] = float(found)
        return self._values[sigma]

    def piece(self, low: float, high: float) -> _Piece:
        near_1CHW, far_1CHW = blurred(self._image_1CHW, low), blurred(self._image_1CHW, high)
        middle_1CHW = ((near_1CHW + far_1CHW) / 2).requires_grad_()
        gradient_1CHW = gradient_of(self._target(self._restored(middle_1CHW)), middle_1CHW)
        share_CHW = (gradient_1CHW.double() * (near_1CHW.double() - far_1CHW.double()))[0]
        return _Piece(low, high, share_CHW, float(share_CHW.sum()) - self.value(low) + self.value(high))
