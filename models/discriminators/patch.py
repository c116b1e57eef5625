"""PatchGAN: judges each patch of an image on its own.

Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017, sections 3.2.2
and 6.1.2; three strided layers see 70 x 70 pixels.

Shapes: B batch, C channels, H and W height and width, h and w those of the grid of patches.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.discriminators.normalisation import NORMALISATIONS, convolution, normalise_spectrally
from models.networks.arguments import require_at_least, require_one_of
from models.networks.initialisation import initialise_adversarial
from models.networks.receptive_field import Window

WIDEST = 8


class PatchDiscriminator(nn.Module):
    """BCHW in [-1, 1] -> B1hw logits; high means real.

    ``channels`` counts those of the condition too: pix2pix judges input and output together, so that 6
    is its number (2,768,705 parameters). No normalisation on the first and the last layer.
    """

    def __init__(
        self, channels: int = 6, features: int = 64, layers: int = 3, normalisation: str = "batch"
    ) -> None:
        super().__init__()
        require_at_least("PatchDiscriminator", 1, channels=channels, features=features, layers=layers)
        require_one_of("PatchDiscriminator", NORMALISATIONS, normalisation=normalisation)
        self.channels, self.layers = channels, layers
        widths = [features * min(2**step, WIDEST) for step in range(layers + 1)]
        first = nn.Conv2d(channels, features, 4, 2, padding=1)
        stages = [nn.Sequential(first, nn.LeakyReLU(0.2))]
        for step in range(1, layers + 1):
            stride = 2 if step < layers else 1
            normalised = convolution(widths[step - 1], widths[step], 4, stride, normalisation)
            stages.append(nn.Sequential(*normalised, nn.LeakyReLU(0.2)))
        stages.append(nn.Sequential(nn.Conv2d(widths[-1], 1, 4, 1, padding=1)))
        self.stages = nn.ModuleList(stages)
        initialise_adversarial(self)
        if normalisation == "spectral":
            normalise_spectrally(self)

    @property
    def patch(self) -> int:
        """Side in pixels of what one logit sees; images must be about as large to give one."""
        window = Window(0, 0).before_convolution(4, padding=1).before_convolution(4, padding=1)
        for _ in range(self.layers):
            window = window.before_convolution(4, 2, padding=1)
        return window.last - window.first + 1

    @property
    def minimum_size(self) -> int:
        """Smallest side that gives a logit: the two unstrided layers take one row each."""
        return 3 << self.layers

    def features(self, image_BCHW: Tensor) -> list[Tensor]:
        """What each layer gives, the logits last; for feature matching (pix2pixHD, LaMa)."""
        results: list[Tensor] = []
        for stage in self.stages:
            image_BCHW = stage(image_BCHW)
            results.append(image_BCHW)
        return results

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Logits, B1hw; ``ValueError`` for an image that is too small to give one."""
        if min(image_BCHW.shape[-2:]) < self.minimum_size:
            raise ValueError(
                f"PatchDiscriminator: images must be {self.minimum_size} pixels or more a side for "
                f"{self.layers} layers, got {tuple(image_BCHW.shape[-2:])}"
            )
        return self.features(image_BCHW)[-1]
