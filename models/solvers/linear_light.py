"""A restorer in linear light: a photograph's transfer curve is undone before it and applied after it.

The curve of sRGB (IEC 61966-2-1:1999, section 5.2), which Display P3 has too.

For restorers that are right about light: networks that were trained on linear values, filters that undo what
optics did, means that shall keep the amount of light. Not for faults of the stored values, such as those of
JPEG, nor for networks trained on stored values, as those shipped here were: light is dark to them. Nor is it
a better way to enlarge: of nine photographs that were shrunk in light by 4 and enlarged by bicubic, light
came back to 0.01 % instead of 0.24 % (median), but PSNR fell by 0 to 1.1 dB, for kernels ring more visibly on
the dark side of edges. The curve is not read from the file's profile: Adobe RGB (gamma 2.2) and others are
only approximated, and measurements, unlike photographs, have none.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import IMAGES, Condition
from models.solvers.wrapper import Wrapper

_DIVISOR, _OFFSET, _EXPONENT = 12.92, 0.055, 2.4
_STRAIGHT = 0.04045
"""Stored value up to which the curve is a straight line."""


@dataclass(frozen=True, kw_only=True)
class LinearLight(Wrapper):
    """Any restorer that neither inverts operators nor goes by a noise level, both of stored values."""

    name: ClassVar[str] = "linear_light"
    refusal: ClassVar[str] = "were applied to stored values and not to light"

    def __post_init__(self) -> None:
        super().__post_init__()
        if "noise_level" in self.restorer.card.needs:
            raise ValueError(
                f"{self.name}: {self.restorer.card.name} needs the noise level, and noise that is even in "
                "stored values is not so in light; use it by itself"
            )

    def card(self, name: str) -> Card:
        """The wrapped restorer's facts: the curve looks at one pixel at a time."""
        return self._card(name, f"{self.restorer.card.name} in linear light, by the curve of sRGB.")

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the restorer's scale times H and W; values below 0 and above 1 are kept."""
        in_light = condition.changed(to_linear, IMAGES)
        return to_srgb(self.restorer(to_linear(degraded_BCHW), condition=in_light))


def to_linear(stored_BCHW: Tensor) -> Tensor:
    """Light of stored values, both with white at 1; the power goes on above 1, and 0 is a centre of symmetry.

    As scRGB extends the curve (IEC 61966-2-2).
    """
    size_BCHW = stored_BCHW.abs().double()  # powers in single precision differ with the place in memory
    curved_BCHW = ((size_BCHW + _OFFSET) / (1 + _OFFSET)) ** _EXPONENT
    light_BCHW = torch.where(size_BCHW <= _STRAIGHT, size_BCHW / _DIVISOR, curved_BCHW)
    return light_BCHW.to(stored_BCHW).copysign(stored_BCHW)


def to_srgb(light_BCHW: Tensor) -> Tensor:
    """The inverse of ``to_linear``, but for rounding."""
    size_BCHW = light_BCHW.abs().double()
    curved_BCHW = (1 + _OFFSET) * size_BCHW ** (1 / _EXPONENT) - _OFFSET
    # The standard's 0.0031308 is rounded: values beside the bend would not come back.
    straight_BCHW = size_BCHW <= _STRAIGHT / _DIVISOR
    stored_BCHW = torch.where(straight_BCHW, size_BCHW * _DIVISOR, curved_BCHW)
    return stored_BCHW.to(light_BCHW).copysign(light_BCHW)
