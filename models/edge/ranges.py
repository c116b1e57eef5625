"""Ranges of features that int8 rounds: cut where that costs less than larger steps would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

STEPS = 255
"""Of features over their range."""
_SAMPLED = 20_000
"""Values of a layer's features that its range is looked for among, of each calibration image."""


@dataclass(frozen=True)
class Range:
    """Of features that are rounded; zero is within."""

    low: float
    high: float

    @property
    def step(self) -> NDArray[np.float32]:
        """From one whole number to the next."""
        return np.array((self.high - self.low) / STEPS, np.float32)

    @property
    def zero(self) -> NDArray[np.uint8]:
        """The whole number that stands for zero."""
        return np.array(round(float(-self.low / self.step)), np.uint8)

    def rounded(self, values: Tensor) -> Tensor:
        """As int8 has them."""
        low, high = torch.tensor(self.low), torch.tensor(self.high)
        step = (high - low) / STEPS
        zero = (-low / step).round()
        return ((values / step).round() + zero).clamp(0, STEPS).sub(zero) * step

    @classmethod
    def shown_by(cls, features: Iterable[Tensor], rng: torch.Generator) -> Range:
        """Cut where the mean square error of rounding some of these is least."""
        values = torch.cat([_sampled(each.flatten(), rng) for each in features])
        low, high = values.amin().clamp(max=0), values.amax().clamp(min=1e-6)
        tried = [
            cls(float(low * share), float(high * share)) for share in torch.linspace(0.3, 1, 29).tolist()
        ]
        return min(tried, key=lambda each: float((each.rounded(values) - values).square().mean()))


def _sampled(values: Tensor, rng: torch.Generator) -> Tensor:
    """Some of them, and the outermost."""
    some = values[torch.randint(len(values), (_SAMPLED,), generator=rng)]
    return torch.cat([some, values.amin()[None], values.amax()[None]])
