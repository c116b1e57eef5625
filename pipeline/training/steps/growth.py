"""Which size a growing generator and its discriminator work at, step by step.

Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", ICLR 2018,
section 2 and appendix A.1.

Shapes: B batch, C channels, N the side of the image, n that of the stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Stage(Protocol):
    """How the two networks are called at a step, and which real images fit their fakes."""

    @property
    def generator_arguments(self) -> Mapping[str, Any]:
        """Keywords of the generator's call."""
        ...

    @property
    def discriminator_arguments(self) -> Mapping[str, Any]:
        """Keywords of the discriminator's call."""
        ...

    def real(self, image_BCNN: Tensor) -> Tensor:
        """The images as the discriminator is to see them."""
        ...


class Growth(Protocol):
    """``growth(step)`` gives the stage of a step."""

    def __call__(self, step: int) -> Stage:
        """The same for the same step, so that a resumed run goes on at its size."""
        ...


@dataclass(frozen=True)
class FullSizeStage:
    """The networks as they are."""

    generator_arguments: Mapping[str, Any]
    discriminator_arguments: Mapping[str, Any]

    def real(self, image_BCNN: Tensor) -> Tensor:
        """The same."""
        return image_BCNN


class FullSize:
    """No growth."""

    def __call__(self, step: int) -> Stage:
        """The same stage at all steps."""
        return FullSizeStage({}, {})


@dataclass(frozen=True)
class GrowingStage:
    """Images of ``image_size`` pixels a side, of whose details ``fade`` is shown."""

    image_size: int
    fade: float

    @property
    def generator_arguments(self) -> Mapping[str, Any]:
        """Size and fade: ``ProgressiveGenerator``."""
        return {"image_size": self.image_size, "fade": self.fade}

    @property
    def discriminator_arguments(self) -> Mapping[str, Any]:
        """Fade alone, the size is that of the images: ``ProgressiveDiscriminator``."""
        return {"fade": self.fade}

    def real(self, image_BCNN: Tensor) -> Tensor:
        """Averaged to the size, BCnn; while fading, mixed with its half, as the generator's images are."""
        image_BCnn = F.adaptive_avg_pool2d(image_BCNN, self.image_size)
        if self.fade >= 1 or self.image_size == 4:
            return image_BCnn
        coarse_BCnn = F.interpolate(F.avg_pool2d(image_BCnn, 2), scale_factor=2, mode="nearest")
        return torch.lerp(coarse_BCnn, image_BCnn, self.fade)


@dataclass(frozen=True, kw_only=True)
class ProgressiveGrowth:
    """From 4 pixels a side to ``image_size``, doubling; each size lasts ``steps_per_size`` steps.

    All but the first fade in over the share ``fading`` of their steps; the paper has 600,000 images of
    fading and as many without, a half. At the last size the run goes on as long as it likes.
    """

    image_size: int
    steps_per_size: int
    fading: float = 0.5

    def __post_init__(self) -> None:
        if self.image_size < 4 or self.image_size & (self.image_size - 1):
            raise ValueError(f"growth: image_size must be a power of two of 4 or more, got {self.image_size}")
        if self.steps_per_size < 1:
            raise ValueError(f"growth: steps_per_size must be 1 or more, got {self.steps_per_size}")
        if not 0 <= self.fading <= 1:
            raise ValueError(f"growth: fading must be from 0 to 1, got {self.fading}")

    def __call__(self, step: int) -> GrowingStage:
        """The stage of step 0, 1, ..."""
        last = self.image_size.bit_length() - 3
        level = min(step // self.steps_per_size, last)
        if level == 0:
            return GrowingStage(4, 1.0)
        begun = step - level * self.steps_per_size
        length = self.fading * self.steps_per_size
        return GrowingStage(4 << level, min(1.0, begun / length) if length else 1.0)
