"""Pixels hidden from the network, so that it must tell them from their surroundings: no clean image needed.

Krull, Buchholz and Jug, "Noise2Void - Learning Denoising from Single Noisy Images", CVPR 2019, sections 3.2
and 3.3: a hidden pixel shows the value of another one near it, drawn at random.

Shapes: B batch, C channels, H and W height and width, K hidden pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

RADIUS = 2
"""Replacements come from the square of this radius, 5 x 5 as in the paper."""
SHARE = 0.005
"""Of all pixels; the paper hides 64 of 64 x 64 and trains on those alone."""


def hide_pixels(noisy_BCHW: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The images with hidden pixels, and B1HW: 1 where a pixel was left as it is, 0 where it is hidden."""
    height, width = noisy_BCHW.shape[-2:]
    hidden_BCHW = noisy_BCHW.clone()
    mask_B1HW = torch.ones_like(noisy_BCHW[:, :1])
    for index, seed in enumerate(seeds):
        rows_K, columns_K, from_rows_K, from_columns_K = _places(seed, height, width)
        hidden_BCHW[index, :, rows_K, columns_K] = noisy_BCHW[index, :, from_rows_K, from_columns_K]
        mask_B1HW[index, 0, rows_K, columns_K] = 0.0
    return hidden_BCHW, mask_B1HW


def _places(seed: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = Generator().manual_seed(seed)
    count = max(1, round(SHARE * height * width))
    place_K = torch.randperm(height * width, generator=rng)[:count]
    rows_K, columns_K = place_K // width, place_K % width
    side = 2 * RADIUS + 1
    # Any of the square but its centre: a pixel that showed itself would teach nothing.
    offset_K = torch.randint(side * side - 1, (count,), generator=rng)
    offset_K += offset_K >= side * side // 2
    from_rows_K = _reflected(rows_K + offset_K // side - RADIUS, height)
    from_columns_K = _reflected(columns_K + offset_K % side - RADIUS, width)
    return rows_K, columns_K, from_rows_K, from_columns_K


def _reflected(index_K: Tensor, length: int) -> Tensor:
    index_K = index_K.abs()
    return torch.where(index_K >= length, 2 * (length - 1) - index_K, index_K)
