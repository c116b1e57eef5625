"""Continuing an image beyond its edges, for windows of any size on images of any size."""

from __future__ import annotations

import torch
from torch import Tensor


def pad_mirrored(image_BCHW: Tensor, amount: int) -> Tensor:
    """Mirrors about the edge pixels (``c b | a b c | b a``), again and again where the image is small."""
    for dimension in (-2, -1):
        index = _mirrored_index(image_BCHW.shape[dimension], amount, image_BCHW.device)
        image_BCHW = image_BCHW.index_select(dimension, index)
    return image_BCHW


def _mirrored_index(length: int, amount: int, device: torch.device) -> Tensor:
    period = max(2 * (length - 1), 1)
    folded = torch.arange(-amount, length + amount, device=device) % period
    return torch.minimum(folded, period - folded) if length > 1 else torch.zeros_like(folded)
