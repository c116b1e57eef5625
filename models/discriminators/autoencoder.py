"""BEGAN's discriminator: an autoencoder, which calls real what it can rebuild.

Berthelot, Schumm and Metz, "BEGAN: Boundary Equilibrium Generative Adversarial Networks", 2017, sections
3.1 and 3.5 and figure 1; without the improvements of section 3.5.1.

Shapes: B batch, C channels, N the side of the image, F features.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_power_of_two

FIRST_SIDE = 8


class AutoencoderDiscriminator(nn.Module):
    """BCNN in [-1, 1] -> one logit per image, B: minus the mean absolute error of rebuilding it; 0 at best.

    Two convolutions a size with ELU; each halving adds ``features`` to the width; a latent of ``latent``
    numbers in the middle. The decoder is as wide everywhere and enlarges by the nearest pixel.
    ``image_size`` is any power of two from 8.
    """

    def __init__(self, channels: int = 3, image_size: int = 64, features: int = 64, latent: int = 64) -> None:
        super().__init__()
        require_at_least("AutoencoderDiscriminator", 1, channels=channels, features=features, latent=latent)
        require_power_of_two("AutoencoderDiscriminator", FIRST_SIDE, image_size=image_size)
        self.channels, self.image_size, self.latent = channels, image_size, latent
        sizes = (image_size // FIRST_SIDE).bit_length()
        widths = [features * (place + 1) for place in range(sizes)]
        self.encoder = nn.Sequential(*_encoder(channels, widths), nn.Flatten())
        # Named as in checkpoints of before.
        self.to_code = nn.Linear(widths[-1] * FIRST_SIDE**2, latent)
        self.from_code = nn.Linear(latent, features * FIRST_SIDE**2)
        self.decoder = nn.Sequential(*_decoder(channels, features, sizes))

    def rebuild(self, image_BCNN: Tensor) -> Tensor:
        """What the autoencoder makes of the images, BCNN; ``ValueError`` for images of another size."""
        side = self.image_size
        if tuple(image_BCNN.shape[-2:]) != (side, side):
            raise ValueError(
                f"AutoencoderDiscriminator: images must be {side} x {side}, "
                f"got {tuple(image_BCNN.shape[-2:])}"
            )
        latent_BZ = self.to_code(self.encoder(image_BCNN))
        smallest_BFHW = self.from_code(latent_BZ).unflatten(1, (-1, FIRST_SIDE, FIRST_SIDE))
        rebuilt_BCNN: Tensor = self.decoder(smallest_BFHW)
        return rebuilt_BCNN

    def forward(self, image_BCNN: Tensor) -> Tensor:
        """Logits, B."""
        return -F.l1_loss(self.rebuild(image_BCNN), image_BCNN, reduction="none").mean(dim=(1, 2, 3))


def _pair(inner: int, outer: int, stride: int = 1) -> list[nn.Module]:
    first, second = nn.Conv2d(inner, inner, 3, padding=1), nn.Conv2d(inner, outer, 3, stride, padding=1)
    return [first, nn.ELU(inplace=True), second, nn.ELU(inplace=True)]


def _encoder(channels: int, widths: list[int]) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 3, padding=1), nn.ELU(inplace=True)]
    for place, width in enumerate(widths[:-1]):
        layers += _pair(width, widths[place + 1], stride=2)
    return layers + _pair(widths[-1], widths[-1])


def _decoder(channels: int, features: int, sizes: int) -> list[nn.Module]:
    layers = _pair(features, features)
    for _ in range(sizes - 1):
        layers += [nn.Upsample(scale_factor=2, mode="nearest"), *_pair(features, features)]
    return [*layers, nn.Conv2d(features, channels, 3, padding=1)]
