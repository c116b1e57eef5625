"""The convolutions of VGG19, with weights that the caller has.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
table 1, column E. Nothing is downloaded.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.state import load_convolutions, read_state

CONVOLUTIONS = (2, 2, 4, 4, 4)
"""Convolutions before each pooling."""
WIDTHS = (64, 128, 256, 512, 512)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's channels, for images in [0, 1]: what torchvision's weights were trained with."""
NAMES = tuple(
    f"conv{stage}_{place}" for stage, count in enumerate(CONVOLUTIONS, 1) for place in range(1, count + 1)
)
"""``conv1_1`` to ``conv5_4``, in order."""


class VGG19(nn.Module):
    """What the named convolutions give, before their rectifiers.

    ``path`` is a state dict in torchvision's layout (``features.0.weight`` and so on), ``.safetensors`` or
    ``.pth``; layers after the last one wanted, and the classifier, may be missing. Raises ``ValueError``
    for unknown layers, for a file that cannot be read and for weights of another network.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, path: str | Path, layers: Sequence[str]) -> None:
        super().__init__()
        if unknown := sorted(set(layers) - set(NAMES)):
            raise ValueError(f"perceptual: unknown layers {unknown} of VGG19; known are {', '.join(NAMES)}")
        self.layers = tuple(layers)
        deepest = max(map(NAMES.index, layers))
        self.convolutions = nn.ModuleList(_convolutions()[: deepest + 1])
        self._load(Path(path))
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, image_BCHW: Tensor) -> dict[str, Tensor]:
        """Features by layer; images in [0, 1]; ``ValueError`` for other than 1 or 3 channels."""
        if image_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"VGG19 takes 1 or 3 channels, the image has {image_BCHW.shape[1]}")
        features = (image_BCHW.expand(-1, 3, -1, -1) - self.mean) / self.deviation
        found = {}
        for name, convolution in zip(NAMES, self.convolutions, strict=False):
            if name.endswith("_1") and name != NAMES[0]:
                features = F.max_pool2d(features, 2)
            features = convolution(features)
            if name in self.layers:
                found[name] = features
            features = F.relu(features)
        return found

    def _load(self, path: Path) -> None:
        try:
            state = read_state(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ValueError(f"perceptual: cannot read the VGG19 weights {path}: {error}") from error
        try:
            numbers = _torchvision_numbers()[: len(self.convolutions)]
            load_convolutions(self.convolutions, numbers, state, "VGG19")
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _convolutions() -> list[nn.Module]:
    inner, layers = 3, list[nn.Module]()
    for width, count in zip(WIDTHS, CONVOLUTIONS, strict=True):
        for _ in range(count):
            layers.append(nn.Conv2d(inner, width, 3, padding=1))
            inner = width
    return layers


def _torchvision_numbers() -> list[int]:
    """Places of the convolutions in torchvision's list: a rectifier after each, a pooling per stage."""
    numbers, place = list[int](), 0
    for count in CONVOLUTIONS:
        numbers += range(place, place + 2 * count, 2)
        place += 2 * count + 1
    return numbers
