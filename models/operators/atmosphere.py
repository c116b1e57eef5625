"""What lies between the sensor and the ground: clouds and haze."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.draws import each_image
from models.operators.mask import Masking
from models.parameters import Checked, choice, number


def fractal(height: int, width: int, exponent: float, rng: Generator) -> Tensor:
    """HW float64 in [0, 1] on ``rng``'s device: noise whose power falls as frequency^-exponent.

    White noise filtered in the Fourier domain, on a canvas of twice the sides so that it does not wrap.
    """
    shape = (2 * height, 2 * width)
    white = torch.randn(shape, generator=rng, device=rng.device).double()
    fy = torch.fft.fftfreq(shape[0], dtype=torch.float64, device=rng.device)[:, None]
    fx = torch.fft.rfftfreq(shape[1], dtype=torch.float64, device=rng.device)[None, :]
    # No structure is larger than the canvas, where the power law has no limit.
    frequency = torch.hypot(fy, fx).clamp_min(1 / max(shape))
    field = torch.fft.irfft2(torch.fft.rfft2(white) * frequency ** (-exponent / 2), s=shape)
    field_HW: Tensor = field[:height, :width]
    low, high = field_HW.min(), field_HW.max()
    return (field_HW - low) / (high - low).clamp_min(1e-12)


@dataclass(frozen=True)
class Clouds(Masking):
    """Opaque clouds: the brightest ``share`` of a fractal field hides the ground."""

    name: ClassVar[str] = "clouds"

    share: float = number(0.3, 0, 0.9)
    """Share of the pixels hidden, to the pixel, in [0, 0.9]."""
    exponent: float = number(3.5, 1, 6)
    """Of the field's power spectrum, in [1, 6]: the larger, the smoother the clouds."""

    def mask(self, height: int, width: int, rng: Generator) -> Tensor:
        """1HW float32 on ``rng``'s device: 1 where a pixel stays known."""
        field = fractal(height, width, self.exponent, rng).flatten()
        known = torch.ones_like(field, dtype=torch.float32)
        known[field.topk(math.floor(self.share * field.numel())).indices] = 0.0
        return known.view(1, height, width)


@dataclass(frozen=True)
class Haze(Checked):
    """Scattering (Koschmieder 1924): ``y = x t + airlight (1 - t)`` with ``t = exp(-density depth)``."""

    name: ClassVar[str] = "haze"

    density: float = number(1.0, 0, 10)
    """Optical thickness at depth 1, in [0, 10]."""
    airlight: float = number(0.9, 0, 1)
    """Brightness of the haze itself, fraction of the range, in [0, 1]."""
    depth: str = choice("random", "vertical", "flat")
    """Of the scene in [0, 1]: "random" (a smooth fractal), "vertical" (far above, near below), "flat" (1)."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The hazy image, same shape."""

        def hazy(image_CHW: Tensor) -> Tensor:
            depth_HW = self._depth(image_CHW.shape[1], image_CHW.shape[2], rng)
            clear_HW = torch.exp(-self.density * depth_HW).to(image_CHW)
            return image_CHW * clear_HW + self.airlight * (1 - clear_HW)

        return each_image(image_BCHW, hazy)

    def _depth(self, height: int, width: int, rng: Generator) -> Tensor:
        if self.depth == "random":
            return fractal(height, width, 4.0, rng)
        if self.depth == "vertical":
            return torch.linspace(1, 0, height, dtype=torch.float64, device=rng.device)[:, None].expand(
                -1, width
            )
        return torch.ones(height, width, dtype=torch.float64, device=rng.device)
