"""U-Net-256: the generator of pix2pix.

Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017, section 6.1.1.

Shapes: B batch, C channels, H and W height and width, F features.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_fraction
from models.networks.initialisation import initialise_adversarial
from models.networks.receptive_field import Window, halo_of

DROPPED = 3
"""Innermost decoders with dropout, after the innermost of all."""


class Pix2PixUNet(nn.Module):
    """BCHW in [-1, 1] -> BCHW in [-1, 1]; height and width must be multiples of ``2 ** levels``.

    4 x 4 convolutions of stride 2 down to one pixel per 256, transposed ones back, with skips;
    54,413,955 parameters. As in the released network, convolutions have no bias but the last.
    The paper draws dropout at test time as well, as its source of noise; here evaluation is
    deterministic and batch normalisation uses its running statistics.
    """

    minimum_size = 1

    def __init__(self, channels: int = 3, features: int = 64, levels: int = 8, dropout: float = 0.5) -> None:
        super().__init__()
        require_at_least("Pix2PixUNet", 1, channels=channels, features=features)
        require_at_least("Pix2PixUNet", 2, levels=levels)
        require_fraction("Pix2PixUNet", dropout=dropout)
        self.channels, self.levels = channels, levels
        self.multiple_of = 2**levels
        widths = [channels, *(features * min(2**level, 8) for level in range(levels))]
        self.encoders = nn.ModuleList(
            _encoder(inner, outer, normalised=0 < level < levels - 1)
            for level, (inner, outer) in enumerate(itertools.pairwise(widths))
        )
        pairs = list(itertools.pairwise(reversed(widths)))
        self.decoders = nn.ModuleList(
            _decoder(inner * (2 if place else 1), outer, dropout if 1 <= place <= DROPPED else 0.0)
            for place, (inner, outer) in enumerate(pairs[:-1])
        )
        self.tail = nn.ConvTranspose2d(2 * features, channels, 4, 2, padding=1)
        initialise_adversarial(self)

    @property
    def halo(self) -> int:
        """Radius of the receptive field in pixels."""

        def needed(window: Window) -> Window:
            # The detour over the coarsest level sees all that the skips see.
            for _ in range(self.levels):
                window = window.before_transposed_convolution(4, 2, 1)
            for _ in range(self.levels):
                window = window.before_convolution(4, 2, padding=1)
            return window

        return halo_of(needed, multiple_of=self.multiple_of)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The translated image."""
        height, width = image_BCHW.shape[-2:]
        assert height % self.multiple_of == width % self.multiple_of == 0, (height, width)
        skipped, features_BFHW = [], image_BCHW
        for level, encoder in enumerate(self.encoders):
            features_BFHW = encoder(F.leaky_relu(features_BFHW, 0.2) if level else features_BFHW)
            skipped.append(features_BFHW)
        features_BFHW = skipped.pop()
        for decoder in self.decoders:
            features_BFHW = torch.cat((skipped.pop(), decoder(F.relu(features_BFHW))), dim=1)
        return torch.tanh(self.tail(F.relu(features_BFHW)))


def _encoder(inner: int, outer: int, *, normalised: bool) -> nn.Sequential:
    convolution = nn.Conv2d(inner, outer, 4, 2, padding=1, bias=False)
    return nn.Sequential(convolution, *([nn.BatchNorm2d(outer)] if normalised else []))


def _decoder(inner: int, outer: int, dropout: float) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(inner, outer, 4, 2, padding=1, bias=False)
    return nn.Sequential(
        convolution, nn.BatchNorm2d(outer), *([nn.Dropout(dropout, inplace=True)] if dropout else [])
    )
