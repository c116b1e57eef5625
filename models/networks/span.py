"""SPAN: attention without parameters, a small network for enlarging.

Wan et al., "Swift Parameter-free Attention Network for Efficient Super-Resolution", CVPR workshops 2024,
section 3, in the form that runs: the three convolutions of each one that is trained are already one
(section 3.4).

Shapes: B batch, C channels, F features, H and W height and width, s the scale.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least
from models.networks.edsr import DIV2K_MEAN

BLOCKS = 6
"""Those whose first, fifth and sixth take part in the last features (section 3.2)."""


class AttentionBlock(nn.Module):
    """BFHW -> what three convolutions make of it, times how far that is from zero (section 3.3)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(features, features, 3, padding=1) for _ in range(3))

    def forward(self, image_BFHW: Tensor) -> tuple[Tensor, Tensor]:
        """The block's features, and those behind its first convolution."""
        early_BFHW = F.silu(self.first(image_BFHW))
        deep_BFHW = self.third(F.silu(self.second(early_BFHW)))
        attention_BFHW = deep_BFHW.sigmoid() - 0.5
        return (deep_BFHW + image_BFHW) * attention_BFHW, early_BFHW


class SPAN(nn.Module):
    """BCHW in [0, 1] -> BC(sH)(sW), not clipped; any scale of 1 or more.

    ``SPAN()`` has 498,208 parameters at scale 4, 481,324 at 2; ``features=48`` is the paper's small one.
    Other than three channels are centred at 0.5. ``gain`` multiplies what is centred: 255 for the
    released weights. Weights start as PyTorch's layers do.
    """

    multiple_of = 1
    minimum_size = 1
    halo = 3 * BLOCKS + 3
    """One pixel for each convolution of 3 x 3 in a row: head, blocks, their end, tail."""
    mean_C11: Tensor

    def __init__(self, channels: int = 3, features: int = 52, scale: int = 4, gain: float = 1.0) -> None:
        super().__init__()
        require_at_least("SPAN", 1, channels=channels, features=features, scale=scale)
        if not gain > 0:
            raise ValueError(f"SPAN: gain must be above 0, got {gain!r}")
        self.channels, self.scale, self.gain = channels, scale, gain
        mean = DIV2K_MEAN if channels == 3 else (0.5,) * channels
        self.register_buffer("mean_C11", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.blocks = nn.ModuleList(AttentionBlock(features) for _ in range(BLOCKS))
        self.end = nn.Conv2d(features, features, 3, padding=1)
        self.merge = nn.Conv2d(4 * features, features, 1)
        self.tail = nn.Conv2d(features, channels * scale**2, 3, padding=1)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The enlarged image."""
        shallow_BFHW = deep_BFHW = self.head((image_BCHW - self.mean_C11) * self.gain)
        outputs = []
        for block in self.blocks:
            deep_BFHW, early_BFHW = block(deep_BFHW)
            outputs.append(deep_BFHW)
        joined = (shallow_BFHW, self.end(deep_BFHW), outputs[0], early_BFHW)
        return F.pixel_shuffle(self.tail(self.merge(torch.cat(joined, 1))), self.scale)
