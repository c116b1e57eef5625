"""A sharper image of the same scene in one broad band, as satellites take it beside their colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.draws import uniform
from models.parameters import Checked, number


@dataclass(frozen=True)
class Panchromatic(Checked):
    """The image stays as it is; a guide is made of it: the mean of its bands, each weighted by a draw.

    What follows is done to the image alone. With a sensor's pixels behind it, that is Wald's protocol (Wald,
    Ranchin and Mangolini 1997): fused again, the image has a reference.
    """

    name: ClassVar[str] = "panchromatic"

    spread: float = number(0.0, 0, 1)
    """How far weights, 1 before they are divided by their sum, are drawn from 1, in [0, 1]."""
    sigma: float = number(0.0, 0, 255)
    """Standard deviation of the guide's noise in 1/255 of the value range, in [0, 255]."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The image itself, in a copy."""
        return image_BCHW.clone(memory_format=torch.contiguous_format)

    def guide(self, image_1CHW: Tensor, rng: Generator) -> Tensor:
        """11HW: the guide."""
        drawn = [uniform(1 - self.spread, 1 + self.spread, rng) for _ in range(image_1CHW.shape[1])]
        weight_C = torch.tensor(drawn, dtype=image_1CHW.dtype) + 1e-6
        weight_1C11 = (weight_C / weight_C.sum()).to(image_1CHW)[None, :, None, None]
        guide_11HW = (image_1CHW * weight_1C11).sum(1, keepdim=True)
        noise_11HW = torch.randn(guide_11HW.shape, generator=rng, device=rng.device).to(guide_11HW)
        return guide_11HW + self.sigma / 255 * noise_11HW
