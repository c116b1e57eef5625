"""MERLIN: one radar image of one look, despeckled by a network that never saw a clean one.

Dalsasso, Denis and Tupin, "As if by magic: self-supervised training of deep despeckling networks with
MERLIN", IEEE TGRS 2022. The network is the U-Net of Lehtinen et al., "Noise2Noise", ICML 2018, appendix A.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.contract import Condition

LEAST, GREATEST = -1.429329123112601, 10.089038980848645
"""Logarithms of the amplitudes that the network's 0 and 1 stand for (deepdespeckling, constants)."""
SLOPE = 0.1


class Merlin(nn.Module):
    """Speckled amplitude in, amplitude of the scene out; B1HW with sides that are multiples of 32.

    The real and the imaginary part of a complex image are two independent noisy views of one scene: the
    network restores each, and the mean of the two intensities counts. Of an amplitude without its phase,
    the phase is drawn: under fully developed speckle it is uniform and tells nothing.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        state = torch.load(weights, map_location="cpu", weights_only=True)
        names = dict.fromkeys(name.partition(".")[0] for name in state)
        self.layers = nn.ModuleDict({name: convolution(state[f"{name}.weight"].shape) for name in names})
        self.layers.load_state_dict(state)
        self.requires_grad_(False)

    def forward(self, amplitude_B1HW: Tensor, condition: Condition) -> Tensor:
        phase_HW = torch.rand(amplitude_B1HW.shape[-2:], generator=torch.Generator().manual_seed(0))
        angle_HW = 2 * math.pi * phase_HW.to(amplitude_B1HW)
        parts = (amplitude_B1HW * angle_HW.cos(), amplitude_B1HW * angle_HW.sin())
        return torch.stack([self.intensity(part) for part in parts]).mean(dim=0).sqrt()

    def intensity(self, part_B1HW: Tensor) -> Tensor:
        span = GREATEST - LEAST
        logarithm_B1HW = ((part_B1HW.square() + 1e-3).log() / 2 - LEAST) / span
        return (2 * (self.unet(logarithm_B1HW) * span + LEAST)).exp()

    def unet(self, image_B1HW: Tensor) -> Tensor:
        skips, features = [image_B1HW], self.active("enc0", image_B1HW)
        for level in range(1, 6):
            features = F.max_pool2d(self.active(f"enc{level}", features), 2)
            skips.append(features)
        features = self.active("enc6", skips.pop())
        for level in (5, 4, 3, 2, 1):
            enlarged = F.interpolate(features, scale_factor=2, mode="nearest")
            first, second = ("dec1a", "dec1b") if level == 1 else (f"dec{level}", f"dec{level}b")
            features = self.active(second, self.active(first, torch.cat((enlarged, skips.pop()), dim=1)))
        return image_B1HW - self.layers["dec1"](features)

    def active(self, name: str, features: Tensor) -> Tensor:
        return F.leaky_relu(self.layers[name](features), SLOPE)


def convolution(shape_OIHW: torch.Size) -> nn.Conv2d:
    outputs, inputs, size, _ = shape_OIHW
    return nn.Conv2d(inputs, outputs, size, padding=size // 2)
