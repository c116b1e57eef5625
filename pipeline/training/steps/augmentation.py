"""What a discriminator sees of real and of made images alike: changed at random, differentiably.

DiffAugment: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020. Who may
not see the images themselves cannot learn few of them by heart, and as the made ones are changed alike, the
generator does not learn the changes.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_SHIFT = 1 / 8
"""Of the image's side: the largest translation (section 4)."""
_HOLE = 1 / 2
"""Of the image's side: the side of what is cut out."""


def augmented(image_BCHW: Tensor, names: Sequence[str]) -> Tensor:
    """Each image changed by draws of its own from torch's global generator, which is seeded at every step."""
    for name in names:
        image_BCHW = AUGMENTATIONS[name](image_BCHW)
    return image_BCHW


def _colour(image_BCHW: Tensor) -> Tensor:
    """Brightness, saturation and contrast."""
    image_BCHW = image_BCHW + (_uniform(image_BCHW) - 0.5)
    grey_B1HW = image_BCHW.mean(dim=1, keepdim=True)
    image_BCHW = (image_BCHW - grey_B1HW) * (2 * _uniform(image_BCHW)) + grey_B1HW
    mean_B111 = image_BCHW.mean(dim=(1, 2, 3), keepdim=True)
    return (image_BCHW - mean_B111) * (0.5 + _uniform(image_BCHW)) + mean_B111


def _translation(image_BCHW: Tensor) -> Tensor:
    """Moved by whole pixels; what comes in from outside is 0."""
    _, channels, height, width = image_BCHW.shape
    rows_BCHW = _moved(image_BCHW, height)[:, None, :, None].expand(-1, channels, -1, width + 2)
    columns_BCHW = _moved(image_BCHW, width)[:, None, None, :].expand(-1, channels, height, -1)
    return F.pad(image_BCHW, (1, 1, 1, 1)).gather(2, rows_BCHW).gather(3, columns_BCHW)


def _cutout(image_BCHW: Tensor) -> Tensor:
    """A rectangle of half the sides becomes 0; part of it may lie outside."""
    inside_BHW = _within(image_BCHW, 2)[:, :, None] & _within(image_BCHW, 3)[:, None, :]
    return image_BCHW * ~inside_BHW[:, None]


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "colour": _colour,
    "translation": _translation,
    "cutout": _cutout,
}
"""By their names in a recipe."""


def _uniform(image_BCHW: Tensor) -> Tensor:
    """B111 in [0, 1)."""
    return torch.rand(len(image_BCHW), 1, 1, 1, device=image_BCHW.device, dtype=image_BCHW.dtype)


def _moved(image_BCHW: Tensor, length: int) -> Tensor:
    """BL: where each pixel comes from, in the image with a border of one pixel."""
    largest = int(length * _SHIFT + 0.5)
    shift_B1 = torch.randint(-largest, largest + 1, (len(image_BCHW), 1), device=image_BCHW.device)
    return (torch.arange(length, device=image_BCHW.device) + shift_B1 + 1).clamp(0, length + 1)


def _within(image_BCHW: Tensor, axis: int) -> Tensor:
    """BL: whether a place along this axis is cut out."""
    length = image_BCHW.shape[axis]
    side = int(length * _HOLE + 0.5)
    count = len(image_BCHW)
    first_B1 = torch.randint(0, length + 1 - side % 2, (count, 1), device=image_BCHW.device) - side // 2
    place_L = torch.arange(length, device=image_BCHW.device)
    return (place_L >= first_B1) & (place_L < first_B1 + side)
