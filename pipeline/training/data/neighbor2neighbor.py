"""Pairs out of single noisy images: two of the four pixels of every 2 x 2 square, drawn at random.

Huang et al., "Neighbor2Neighbor: Self-Supervised Denoising from Single Noisy Images", CVPR 2021, section
4.1. Their noise is independent and what they show is nearly the same, so that either can be learnt from
the other (Lehtinen et al., "Noise2Noise", ICML 2018). Without the paper's regulariser (section 4.2).

Shapes: B batch, C channels, H and W height and width, h and w half of them, P the 4 places of a square.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def draw_neighbor_pair(noisy_BCHW: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Two images BChw whose pixels lie side by side in ``noisy_BCHW``, whose sides are even."""
    batch, channels, height, width = noisy_BCHW.shape
    size = (height // 2, width // 2)
    squares_BCPhw = F.pixel_unshuffle(noisy_BCHW, 2).view(batch, channels, 4, *size)
    places = [_places(seed, *size) for seed in seeds]

    def taken(which: int) -> Tensor:
        index_Bhw = torch.stack([each[which] for each in places]).to(noisy_BCHW.device)
        index_BC1hw = index_Bhw[:, None, None].expand(-1, channels, -1, -1, -1)
        return squares_BCPhw.gather(2, index_BC1hw)[:, :, 0]

    return taken(0), taken(1)


def _places(seed: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """hw: one of the four places of each square (0 1 over 2 3), and one of its two neighbours."""
    rng = Generator().manual_seed(seed)
    first_hw = torch.randint(4, (height, width), generator=rng)
    # Across flips the lowest bit, down the other one: never the diagonal.
    flip_hw = torch.randint(1, 3, (height, width), generator=rng)
    return first_hw, first_hw ^ flip_hw
