"""Distance of what the discriminator's layers see in the restored image and in the target.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs" (pix2pixHD),
CVPR 2018, section 3.3, equation 4 (mean absolute error); LaMa (WACV 2022, section 2.3) takes squares.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

DISTANCES = {"l1": F.l1_loss, "mse": F.mse_loss}

Features = Sequence[Tensor] | Sequence[Sequence[Tensor]]
"""What each layer gives, the logits last; or that for each of several scales."""


class FeatureDiscriminator(Protocol):
    """A discriminator that shows what its layers see."""

    def features(self, image_BCHW: Tensor) -> Features:
        """See ``Features``."""
        ...


@dataclass(frozen=True, kw_only=True)
class FeatureMatching:
    """The mean over layers, but for the logits, and over scales. A loss of the generator."""

    distance: str = "l1"
    """``l1`` or ``mse``."""

    def __post_init__(self) -> None:
        if self.distance not in DISTANCES:
            raise ValueError(
                f"feature_matching: distance must be one of {', '.join(DISTANCES)}; got {self.distance!r}"
            )

    def __call__(self, discriminator: FeatureDiscriminator, real_BCHW: Tensor, fake_BCHW: Tensor) -> Tensor:
        """A scalar; ``ValueError`` where the discriminator does not show its features."""
        if not hasattr(discriminator, "features"):
            raise ValueError(
                f"feature_matching: {type(discriminator).__name__} does not show its features; "
                "use the discriminator patch or multi_scale"
            )
        with torch.no_grad():
            real = _by_scale(discriminator.features(real_BCHW))
        fake = _by_scale(discriminator.features(fake_BCHW))
        return torch.stack([self._distance(*pair) for pair in zip(real, fake, strict=True)]).mean()

    def _distance(self, real: list[Tensor], fake: list[Tensor]) -> Tensor:
        measure = DISTANCES[self.distance]
        pairs = zip(real[:-1], fake[:-1], strict=True)
        return torch.stack([measure(seen.float(), wanted.float()) for wanted, seen in pairs]).mean()


def _by_scale(features: Features) -> list[list[Tensor]]:
    if isinstance(features[0], Tensor):
        return [[each for each in features if isinstance(each, Tensor)]]
    return [list(each) for each in features]
