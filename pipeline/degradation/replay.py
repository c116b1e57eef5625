"""What of a degradation can be done again to another image: all that was fixed, without the noise.

A restored image, degraded again, should give the input back: that needs no reference. Blur, resampling,
compression, haze and masks are repeated as they were drawn. Noise that changes no mean is left out, so
that the input's noise stays in the difference. What is random in any other way cannot be repeated.

Of the input of a restore run nobody knows the degradation. What its restored image owes it all the same is
to give it back at its own size: the first property of Wald et al., PE&RS 63(6), 1997.

Shapes: C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.base import Operator
from models.operators.noise import (
    CorrelatedNoise,
    GaussianNoise,
    PoissonGaussianNoise,
    PoissonNoise,
    Speckle,
)
from models.operators.resample import imresize
from models.operators.sensor import Stripes
from models.operators.tomography import TomographyNoise

_NOISE = (
    GaussianNoise,
    CorrelatedNoise,
    PoissonNoise,
    PoissonGaussianNoise,
    Speckle,
    Stripes,
    TomographyNoise,
)
"""Operators whose mean over draws is the image, rounding and clipping aside."""

REACH = 2
"""Pixels of the input, around one, that its value rests on where a larger image is brought back to it."""


@dataclass(frozen=True)
class Drawn:
    """An operator as it was applied to one image."""

    operator: Operator
    mask_1HW: Tensor | None
    """The mask that it drew, where it is one."""
    fixed: bool
    """Whether it left its generator as it was, so that every image gets the same."""

    @property
    def is_noise(self) -> bool:
        """Whether leaving it out changes no mean."""
        return isinstance(self.operator, _NOISE)


@dataclass(frozen=True)
class Replay:
    """``replay(image_1CHW)`` degrades another image of the reference's size as the first one was."""

    steps: tuple[Drawn, ...]

    @classmethod
    def of(cls, steps: Sequence[Drawn]) -> Replay | None:
        """``None`` where a step cannot be repeated, as in a chain that draws for itself."""
        possible = all(step.fixed or step.is_noise or step.mask_1HW is not None for step in steps)
        return cls(tuple(steps)) if possible else None

    @classmethod
    def to_size(cls, height: int, width: int) -> Replay:
        """For an input of this size of which nothing is known."""
        return cls((Drawn(_Resized(height, width), None, fixed=True),))

    def __call__(self, image_1CHW: Tensor) -> Tensor:
        """The degraded image without its noise, of the degraded input's size."""
        unused = torch.Generator()
        for step in self.steps:
            if step.mask_1HW is not None:
                image_1CHW = image_1CHW * step.mask_1HW.to(image_1CHW)
            elif step.fixed:
                image_1CHW = step.operator(image_1CHW, unused)
        return image_1CHW


@dataclass(frozen=True)
class _Resized:
    """MATLAB bicubic with antialiasing; an image that has the size stays as it is."""

    name: ClassVar[str] = "resized"

    height: int
    width: int

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        if image_BCHW.shape[-2:] == (self.height, self.width):
            return image_BCHW
        return imresize(image_BCHW, self.height, self.width)


def draws_from(generator: Generator, state_before: Tensor) -> bool:
    """Whether anything was drawn since the generator's state was taken."""
    return not torch.equal(generator.get_state(), state_before)
