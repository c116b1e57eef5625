"""scico's DnCNN: weights that flax wrote, in this project's own DnCNN.

Balke et al., "Scientific Computational Imaging Code (SCICO)", JOSS 2022. Their networks pad circularly
and have no biases; the variant N is told the noise level by a second, constant channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.networks.dncnn import DnCNN
from models.weights.flax import fill_from_flax

LAYERS = 17


def circular_dncnn(path: Path, channels: int = 1) -> DnCNN:
    network = DnCNN(channels=channels, layers=LAYERS)
    fill_from_flax(network, path)
    for convolution in network.noise:
        if isinstance(convolution, nn.Conv2d):
            convolution.padding_mode = "circular"
            # nn.Conv2d works this out once, from the padding that it was built with.
            convolution._reversed_padding_repeated_twice = [1, 1, 1, 1]
    return network


class Told(nn.Module):
    """A denoiser of two channels, image and noise level, whose second output means nothing."""

    conditions: ClassVar[Sequence[str]] = ("noise_level",)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image_B1HW: Tensor, noise_level_B: Tensor) -> Tensor:
        level_B1HW = noise_level_B.view(-1, 1, 1, 1).expand_as(image_B1HW)
        return self.network(torch.cat((image_B1HW, level_B1HW), dim=1))[:, :1]
