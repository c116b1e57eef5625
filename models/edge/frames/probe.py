"""A scene and its frames, on which an exported network is compared with the one in PyTorch.

Shapes: B batch, T frames, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.stacks.shifting import shifted

NOISE = 4 / 255
"""Standard deviation: without any, weights of samples that fit perfectly are differences of equal numbers."""
COUNT = 3
"""Frames that show the scene; a black one comes after them."""


def scene_of_frames(
    channels: int, batch: int, height: int, width: int, rng: Generator
) -> tuple[Tensor, Tensor]:
    """The image (BCHW), and frames of it (BTCHW), moved by parts of a pixel, and a black one."""
    texture_BChw = torch.rand(batch, channels, (height + 3) // 3, (width + 3) // 3, generator=rng)
    image_BCHW = F.interpolate(texture_BChw, (height, width), mode="bicubic").clamp(0, 1)
    moves_T2 = 3 * torch.rand(COUNT, 2, generator=rng) - 1.5
    frames = [shifted(image_BCHW, move_2.expand(batch, 2)) for move_2 in moves_T2]
    seen_BTCHW = torch.stack([image_BCHW, *frames], 1)
    seen_BTCHW = seen_BTCHW + NOISE * torch.randn(seen_BTCHW.shape, generator=rng)
    black_B1CHW = torch.zeros_like(seen_BTCHW[:, :1])
    return seen_BTCHW[:, 0], torch.cat([seen_BTCHW[:, 1:], black_B1CHW], 1)
