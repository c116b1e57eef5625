"""scico's DnCNN: weights that flax wrote, in this project's own DnCNN.

Balke et al., "Scientific Computational Imaging Code (SCICO)", JOSS 2022. Their networks pad circularly
and have no biases; the variant N is told the noise level by a second, constant channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgpack
import numpy as np
import torch
from torch import Tensor, nn

from models.networks.dncnn import DnCNN

LAYERS = 17


def circular_dncnn(path: Path, channels: int = 1) -> DnCNN:
    variables = msgpack.unpackb(path.read_bytes(), ext_hook=array, raw=False)
    network = DnCNN(channels=channels, layers=LAYERS)
    convolutions = [layer for layer in network.noise if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in network.noise if isinstance(layer, nn.BatchNorm2d)]
    parameters, statistics = variables["params"], variables["batch_stats"]
    blocks = [f"ConvBNBlock_{index}" for index in range(LAYERS - 2)]
    kernels = [parameters["conv_start"], *(parameters[each]["Conv_0"] for each in blocks)]
    for convolution, found in zip(convolutions, [*kernels, parameters["conv_end"]], strict=True):
        convolution.padding_mode = "circular"
        # nn.Conv2d works this out once, from the padding that it was built with.
        convolution._reversed_padding_repeated_twice = [1, 1, 1, 1]
        fill(convolution.weight, found["kernel"].transpose(3, 2, 0, 1))
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
    for norm, block in zip(norms, blocks, strict=True):
        learned, measured = parameters[block]["BatchNorm_0"], statistics[block]["BatchNorm_0"]
        fill(norm.weight, learned["scale"])
        fill(norm.bias, learned["bias"])
        fill(norm.running_mean, measured["mean"])
        fill(norm.running_var, measured["var"])
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


@torch.no_grad()
def fill(parameter: Tensor, values: np.ndarray) -> None:
    assert parameter.shape == values.shape, (parameter.shape, values.shape)
    parameter.copy_(torch.from_numpy(values.copy()))


def array(code: int, data: bytes) -> Any:
    """flax writes an array as extension 1: shape, dtype and bytes."""
    if code != 1:
        raise ValueError(f"msgpack extension {code}; flax writes arrays as extension 1")
    shape, dtype, content = msgpack.unpackb(data, raw=True)
    return np.frombuffer(content, dtype.decode()).reshape(shape)
