"""Chains of operators that each image draws for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from models.operators.base import Operator
from models.operators.draws import each_image, integer
from models.operators.resample import require_multiple
from models.parameters import Checked, whole

SHRINKERS = ("area", "bilinear", "bicubic")
"""What images are resized with inside a chain, without antialiasing."""


@dataclass(frozen=True)
class RandomChain(Checked):
    """Draws operators for every image and applies them; clips to [0, 1] after each, 8 bits at the end."""

    name: ClassVar[str]

    scale: int = whole(4, 1, 8)
    """How many times smaller the result is, a whole number in [1, 8]."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The degraded image; ``ValueError`` where its sides are no multiples of ``scale``."""
        height, width = image_BCHW.shape[2:]
        require_multiple(self.name, self.scale, height, width)

        def degraded(image_CHW: Tensor) -> Tensor:
            image_1CHW = image_CHW[None]
            for operator in self.chain(height, width, rng):
                image_1CHW = operator(image_1CHW, rng).clamp(0, 1)
            return (image_1CHW[0] * 255).round() / 255

        return each_image(image_BCHW, degraded)

    def chain(self, height: int, width: int, rng: Generator) -> list[Operator]:
        """Draws the operators for an image of ``height`` x ``width``, in their order."""
        raise NotImplementedError


def kernel_side(smallest: int, largest: int, size: tuple[int, int], rng: Generator) -> int:
    """An odd side drawn from smallest..largest, both odd, but never larger than the image."""
    side = 2 * integer(smallest // 2, largest // 2, rng) + 1
    return min(side, min(size) - 1 + min(size) % 2)
