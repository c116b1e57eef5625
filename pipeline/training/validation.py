"""Peak signal-to-noise ratio of a denoiser on photographs that it was not trained on.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(noisy_BCHW, noise_level_B) -> restored_BCHW, values in [0, 1]."""


def psnr(restored_BCHW: Tensor, reference_BCHW: Tensor) -> float:
    """In dB over all channels, after rounding and clipping to 8 bits; the data range is 255."""
    restored = (restored_BCHW * 255.0).round().clamp(0, 255).double()
    error = float((restored - (reference_BCHW * 255.0).round().double()).square().mean())
    return 10.0 * math.log10(255.0**2 / error) if error else math.inf


def noisy(name: str, clean_BCHW: Tensor, sigma: float) -> Tensor:
    """Gaussian noise of ``sigma`` 8-bit levels, not clipped, whose seed comes from ``name`` and ``sigma``."""
    seed = hashlib.sha256(f"{name} {sigma:g}".encode()).digest()[:8]
    rng = Generator().manual_seed(int.from_bytes(seed, "little") >> 1)
    return clean_BCHW + torch.randn(clean_BCHW.shape, generator=rng) * (sigma / 255.0)


@torch.inference_mode()
def validate(
    denoise: Denoise, photographs: Mapping[str, NDArray[np.uint8]], sigmas: tuple[float, ...] = (15, 25, 50)
) -> dict[str, float]:
    """Mean PSNR in dB over the photographs (uint8 HWC), by noise level in 8-bit levels."""
    return {
        f"{sigma:g}": sum(_score(denoise, name, pixels, sigma) for name, pixels in photographs.items())
        / len(photographs)
        for sigma in sigmas
    }


def _score(denoise: Denoise, name: str, pixels_HWC: NDArray[np.uint8], sigma: float) -> float:
    clean_BCHW = torch.from_numpy(np.array(pixels_HWC)).permute(2, 0, 1)[None].float() / 255.0
    return psnr(denoise(noisy(name, clean_BCHW, sigma), torch.tensor([sigma / 255.0])), clean_BCHW)


def centre(pixels_HWC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The middle square of at most ``side`` pixels, of even height and width."""
    height, width = (min(side, length) // 2 * 2 for length in pixels_HWC.shape[:2])
    top, left = (pixels_HWC.shape[0] - height) // 2, (pixels_HWC.shape[1] - width) // 2
    return pixels_HWC[top : top + height, left : left + width]
