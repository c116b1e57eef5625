"""Distance of the features that a network trained on photographs sees.

Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV
2016, section 3.2, equation 2; Ledig et al., SRGAN, CVPR 2017, section 2.2.1.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.features import BLOCKS, FeatureNetworkError, Lite0
from models.losses.loss import require_number
from models.losses.perceptual_vgg import VGG19

DISTANCES = {"l1": F.l1_loss, "mse": F.mse_loss}
LITE0_LAYERS = {"block0": 1.0, "block2": 1.0, "block4": 1.0, "block10": 1.0, "block15": 1.0}
"""The last block of each size, 2 to 32 times smaller than the image."""
VGG19_LAYERS = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
"""Before the rectifier, weighted as in Real-ESRGAN (ICCV workshops 2021, section 4.1)."""


class Perceptual(nn.Module):
    """``sum of weight * distance(features of restored, features of target)`` over layers.

    The features are EfficientNet-Lite0's, of the extra ``perceptual``; with ``vgg19``, a file of
    torchvision's VGG19 weights that the caller has, those of VGG19. Follows its input to its device.
    Raises ``FeatureNetworkError`` where the extra is missing, ``ValueError`` naming a wrong layer.
    """

    def __init__(
        self, *, layers: Mapping[str, float] | None = None, distance: str = "l1", vgg19: str | None = None
    ) -> None:
        super().__init__()
        if distance not in DISTANCES:
            raise ValueError(f"perceptual: distance must be one of {', '.join(DISTANCES)}; got {distance!r}")
        self._distance = DISTANCES[distance]
        self._weights = dict((VGG19_LAYERS if vgg19 else LITE0_LAYERS) if layers is None else layers)
        if not self._weights:
            raise ValueError("perceptual: layers must name one layer or more")
        require_number("perceptual", 0.0, **self._weights)
        self.backbone: nn.Module = VGG19(vgg19, tuple(self._weights)) if vgg19 else Lite0Layers(self._weights)

    def forward(self, restored_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """A scalar of 0 or more, in float32; images of 1 or 3 channels in [0, 1]."""
        self.to(restored_BCHW.device)
        with torch.no_grad():
            wanted = self.backbone(target_BCHW.float())
        seen = self.backbone(restored_BCHW.float())
        terms = [weight * self._distance(seen[name], wanted[name]) for name, weight in self._weights.items()]
        return torch.stack(terms).sum()


class Lite0Layers(nn.Module):
    """Layers ``block0`` to ``block15`` of EfficientNet-Lite0, by name."""

    def __init__(self, layers: Mapping[str, float]) -> None:
        super().__init__()
        known = {f"block{number}": number for number in range(BLOCKS)}
        if unknown := sorted(set(layers) - set(known)):
            raise ValueError(f"perceptual: unknown layers {unknown}; known are block0 to block{BLOCKS - 1}")
        self._blocks = {name: known[name] for name in layers}
        try:
            self.network = Lite0()
        except FeatureNetworkError as error:
            raise FeatureNetworkError(
                f'the loss "perceptual" needs features: {error}, or give it vgg19 = "FILE" of your own'
            ) from error

    def forward(self, image_BCHW: Tensor) -> dict[str, Tensor]:
        """What each of the layers gives."""
        features = self.network.after_blocks(image_BCHW, self._blocks.values())
        return {name: features[number] for name, number in self._blocks.items()}
