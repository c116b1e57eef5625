"""DCGAN's generator: an image out of a random latent.

Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", ICLR 2016, section 3 and figure 1.

Shapes: B batch, Z numbers of the latent, C channels, N the side of the image, F features.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_one_of, require_power_of_two
from models.networks.initialisation import initialise_adversarial

FIRST_SIDE = 4
WIDEST = 8
"""Layers are at most this many times ``features`` wide, however large the image."""


class DCGANGenerator(nn.Module):
    """``generator(latent_BZ)`` -> BCNN in [-1, 1].

    The defaults are the shape of PyTorch's example (3,576,704 parameters; latents from N(0, 1)); the
    paper's own is ``features=128, kernel=5`` (18,885,760; latents from U(-1, 1)), whose normalisation
    after the projection has a gain for each of its 4 x 4 places. ``image_size`` is any power of two
    from 8.
    """

    def __init__(
        self, channels: int = 3, image_size: int = 64, latent: int = 100, features: int = 64, kernel: int = 4
    ) -> None:
        super().__init__()
        require_at_least("DCGANGenerator", 1, channels=channels, latent=latent, features=features)
        require_power_of_two("DCGANGenerator", 8, image_size=image_size)
        require_one_of("DCGANGenerator", (4, 5), kernel=kernel)
        self.channels, self.image_size, self.latent = channels, image_size, latent
        doublings = (image_size // FIRST_SIDE).bit_length() - 1
        widths = [features * min(2**step, WIDEST) for step in reversed(range(doublings))]
        values = widths[0] * FIRST_SIDE**2
        places = nn.Unflatten(1, (widths[0], FIRST_SIDE, FIRST_SIDE))
        norm = [nn.BatchNorm1d(values), places] if kernel == 5 else [places, nn.BatchNorm2d(widths[0])]
        self.projection = nn.Sequential(nn.Linear(latent, values, bias=False), *norm, nn.ReLU(inplace=True))
        layers: list[nn.Module] = []
        for inner, outer in itertools.pairwise(widths):
            layers += [_doubling(inner, outer, kernel), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
        self.enlarging = nn.Sequential(*layers, _doubling(widths[-1], channels, kernel), nn.Tanh())
        initialise_adversarial(self)

    def forward(self, latent_BZ: Tensor) -> Tensor:
        """The image of each latent; ``ValueError`` for latents of another length."""
        if latent_BZ.ndim != 2 or latent_BZ.shape[1] != self.latent:
            raise ValueError(
                f"DCGANGenerator: latents must be batch x {self.latent}, got {tuple(latent_BZ.shape)}"
            )
        image_BCNN: Tensor = self.enlarging(self.projection(latent_BZ))
        return image_BCNN

    def draw(self, batch: int, rng: torch.Generator) -> Tensor:
        """Codes BZ from N(0, 1), on the generator's device."""
        return torch.randn(batch, self.latent, generator=rng, device=rng.device)


def _doubling(inner: int, outer: int, kernel: int) -> nn.ConvTranspose2d:
    odd = kernel % 2
    return nn.ConvTranspose2d(inner, outer, kernel, 2, padding=1 + odd, output_padding=odd, bias=False)
