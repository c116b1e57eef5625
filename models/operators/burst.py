"""Several frames of one scene, as a hand-held camera or a satellite that comes again takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.atmosphere import Clouds
from models.operators.blur import GaussianBlur
from models.operators.draws import uniform
from models.parameters import Checked, number, whole
from models.stacks.shifting import shifted


@dataclass(frozen=True)
class Burst(Checked):
    """The image becomes the first of several frames, as it is; what follows is done to each of them.

    The others are moved, each by an amount of its own, blurred and clouded; the last ``lost`` are black.
    """

    name: ClassVar[str] = "burst"

    frames: int = whole(9, 2, 64)
    """With the first, in 2..64."""
    motion: float = number(2.0, 0, 64)
    """Largest shift along each axis, in pixels of the image, in [0, 64]."""
    blur: float = number(0.0, 0, 20)
    """Largest standard deviation of a frame's own Gaussian blur, in pixels, in [0, 20]."""
    clouded: int = whole(0, 0, 63)
    """How many of the others have clouds over three tenths."""
    lost: int = whole(0, 0, 63)
    """How many of the others are black."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The first frame: a copy of the image."""
        return image_BCHW.clone(memory_format=torch.contiguous_format)

    def others(self, image_1CHW: Tensor, rng: Generator) -> Tensor:
        """TCHW: the frames after the first."""
        _, _, height, width = image_1CHW.shape
        count = self.frames - 1
        made = []
        for place in range(count):
            shift_12 = torch.tensor([[uniform(-self.motion, self.motion, rng) for _ in range(2)]])
            frame_1CHW = shifted(image_1CHW, shift_12)
            sigma = uniform(0, self.blur, rng)
            if sigma > 0 and 8 * sigma + 1 < min(height, width):
                frame_1CHW = GaussianBlur(sigma)(frame_1CHW, rng)
            if place < self.clouded:
                known_1HW = Clouds().mask(height, width, rng).to(frame_1CHW)
                frame_1CHW = torch.where(known_1HW > 0, frame_1CHW, 0.9)
            made.append(torch.zeros_like(frame_1CHW) if place >= count - self.lost else frame_1CHW)
        return torch.cat(made)
