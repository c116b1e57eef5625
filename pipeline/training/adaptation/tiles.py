"""Images cut into tiles: some to learn from, some held out.

Shapes: C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from models.noise_level import estimate_noise_level
from pipeline.hashing import seed_of

TILE = 128
_HELD_OUT = 0.25
_MOST_HELD = 48

Tile = tuple[Tensor, Tensor]
"""1CHW in [0, 1], and the noise level of its image."""


def split_tiles(
    images_1CHW: Sequence[Tensor], seed: int, device: torch.device
) -> tuple[list[Tile], list[Tile]]:
    """Tiles to learn from, and tiles held out; ``ValueError`` where they are too few."""
    found = []
    for image_1CHW in images_1CHW:
        level_1 = estimate_noise_level(image_1CHW)
        for top in range(0, image_1CHW.shape[-2] - TILE + 1, TILE):
            for left in range(0, image_1CHW.shape[-1] - TILE + 1, TILE):
                tile = image_1CHW[..., top : top + TILE, left : left + TILE]
                found.append((tile.to(device), level_1.to(device)))
    if len(found) < 8:
        raise ValueError(
            f"{len(found)} squares of {TILE} x {TILE} pixels are too few to learn from and to judge by; "
            "give 8 or more"
        )
    order = torch.randperm(
        len(found), generator=Generator().manual_seed(seed_of(str(seed), "held out"))
    ).tolist()
    count = min(_MOST_HELD, max(4, round(_HELD_OUT * len(found))))
    return [found[place] for place in order[count:]], [found[place] for place in order[:count]]
