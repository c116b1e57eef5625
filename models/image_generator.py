"""A generator with its weights: images out of latents, in the value range that everybody else uses.

Shapes: B batch, Z numbers of a latent, C channels, N the side of the image.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from models.card import Card


class ImageGenerator(nn.Module):
    """A trained network of ``models.networks.GENERATORS`` behind its card."""

    def __init__(self, card: Card, network: nn.Module) -> None:
        super().__init__()
        self.card = card
        self.network = network.eval().requires_grad_(False)

    @property
    def latent(self) -> int:
        """How many numbers a latent has."""
        return cast(int, self.network.latent)

    @property
    def channels(self) -> int:
        """Of its images."""
        return cast(int, self.network.channels)

    @property
    def image_size(self) -> int:
        """Height and width of its images."""
        return cast(int, self.network.image_size)

    def forward(self, latent_BZ: Tensor) -> Tensor:
        """BCNN in [0, 1]; latents are drawn from N(0, 1)."""
        low, high = self.card.value_range
        image_BCNN: Tensor = (self.network(latent_BZ) - low) / (high - low)
        return image_BCNN
