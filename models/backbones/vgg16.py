"""The convolutions of VGG16, with weights that the user has.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
table 1, column D.

Shapes: B batch, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.state import load_convolutions

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Width and number of the convolutions in front of each pooling."""


class VGG16(nn.Module):
    """What the last rectifier of each stage gives: 1, 2, 4, 8 and 16 times smaller.

    ``state`` is in torchvision's layout; the classifier may be missing. ``ValueError`` for weights of another
    network. ``pool`` halves what goes into the next stage.
    """

    widths: ClassVar[tuple[int, ...]] = tuple(width for width, _ in _STAGES)
    minimum_size: ClassVar[int] = 16

    def __init__(self, state: Mapping[str, Tensor], pool: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self._pool = pool or _largest
        layers, numbers, inner, number = list[nn.Module](), list[int](), 3, 0
        for width, count in _STAGES:
            for _ in range(count):
                layers.append(nn.Conv2d(inner, width, 3, padding=1))
                numbers.append(number)
                inner, number = width, number + 2  # a rectifier behind each
            number += 1  # the pooling
        self.convolutions = nn.ModuleList(layers)
        load_convolutions(self.convolutions, numbers, state, "VGG16")
        self.eval().requires_grad_(False)

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        """Features by stage, of images with ImageNet's mean and deviation taken off."""
        features, found, convolutions = image_B3HW, list[Tensor](), iter(self.convolutions)
        for stage, (_, count) in enumerate(_STAGES):
            if stage:
                features = self._pool(features)
            for _ in range(count):
                features = F.relu(next(convolutions)(features))
            found.append(features)
        return found


def _largest(features_BCHW: Tensor) -> Tensor:
    return F.max_pool2d(features_BCHW, 2)
