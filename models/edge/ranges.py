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
    def shown_by(
        cls, features: Iterable[Tensor], rng: torch.Generator, sensitivity_I: Tensor | None = None
    ) -> Range:
        """Cut where the mean square error of rounding some of these (1IHW each) is least, by what a change
        of each channel does where that is given."""
        seen = [each.flatten(2)[0] for each in features]
        low = float(min(each.amin() for each in seen))
        high = float(max(each.amax() for each in seen))
        values_IP = torch.cat([_sampled(each, rng) for each in seen], 1)
        weights_I1 = torch.ones(len(values_IP)) if sensitivity_I is None else sensitivity_I
        weights_I1 = weights_I1.expand(len(values_IP))[:, None]
        low, high = min(low, 0.0), max(high, 1e-6)
        tried = [cls(low * share, high * share) for share in torch.linspace(0.3, 1, 29).tolist()]
        return min(
            tried,
            key=lambda each: float(((each.rounded(values_IP) - values_IP).square() * weights_I1).mean()),
        )


def _sampled(values_IP: Tensor, rng: torch.Generator) -> Tensor:
    """Some places, with all their channels."""
    count = -(-_SAMPLED // len(values_IP))
    return values_IP[:, torch.randint(values_IP.shape[1], (count,), generator=rng)]
