"""What metrics of features share: one image after the other, masks as weights, files that a user has.

Shapes: C channels, H and W height and width, h and w those of the features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.state import read_state
from models.features import Lite0
from pipeline.hashing import sha256_hex
from pipeline.metrics import valid
from pipeline.metrics.base import FULL_RANGE, MetricProtocol

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's channels, for images in [0, 1]."""
LITE0 = (0, 2, 4, 10, 15)
"""The last block of each size of EfficientNet-Lite0, 2 to 32 times smaller than the image."""
LITE0_WIDTHS = (16, 24, 40, 112, 320)
_COLOUR = "RGB, not clipped; a single channel three times; other counts have no score"
_WINDOW = (
    "the whole image; where there is no data both images are black, and features count by the share of valid "
    "pixels under them"
)


def feature_protocol(name: str, formula: str, minimum_size: int, source: str) -> MetricProtocol:
    """Of a distance of features, lower is better."""
    return MetricProtocol(
        name=name,
        formula=formula,
        colour=_COLOUR,
        border="scale",
        data_range=FULL_RANGE,
        unit="1",
        higher_is_better=False,
        best=0.0,
        source=source,
        window=_WINDOW,
        minimum_size=minimum_size,
    )


@dataclass(frozen=True, eq=False)
class FeatureMetric(ABC):
    """A score of two images' features; NaN for other than 1 or 3 channels and below the minimum size."""

    protocol: MetricProtocol

    @abstractmethod
    def layers(self, image_13HW: Tensor) -> Sequence[Tensor]:
        """Features of one image in [0, 1]."""

    @abstractmethod
    def distance(self, restored: Sequence[Tensor], reference: Sequence[Tensor], valid_11HW: Tensor) -> Tensor:
        """() float64 from the features of both and the mask, 1 where a pixel holds data."""

    @torch.no_grad()
    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        channels, *size = reference_BCHW.shape[1:]
        if channels not in (1, 3) or min(size) < self.protocol.minimum_size:
            return valid.undefined(reference_BCHW)
        if valid_B1HW is None:
            valid_B1HW = torch.ones_like(reference_BCHW[:, :1], dtype=torch.bool)
        pairs = [
            valid.blanked(each, valid_B1HW).float().expand(-1, 3, -1, -1)
            for each in (restored_BCHW, reference_BCHW)
        ]
        # One image after the other: what convolutions round must not hang on the batch.
        return torch.stack([self._score(*each) for each in zip(*pairs, valid_B1HW.float(), strict=True)])

    def _score(self, restored_3HW: Tensor, reference_3HW: Tensor, valid_1HW: Tensor) -> Tensor:
        features = [self.layers(each[None]) for each in (restored_3HW, reference_3HW)]
        return self.distance(features[0], features[1], valid_1HW[None])


@dataclass(frozen=True, eq=False)
class NeedsWeights(FeatureMetric):
    """A metric of the literature whose network and learned weights are files of the user, not ours to ship.

    ``metric.with_weights(backbone, heads)`` is the one that scores.
    """

    backbone: nn.Module | None = None
    heads: tuple[Tensor, ...] = ()

    files_wanted: ClassVar[tuple[str, str]]
    """What the two files are, in words."""
    instead: ClassVar[str]
    """A metric of its kind that needs none."""

    @abstractmethod
    def built(self, backbone: dict[str, Tensor], heads: dict[str, Tensor]) -> tuple[nn.Module, list[Tensor]]:
        """Network and weights out of two state dicts; ``ValueError`` for those of others."""

    def with_weights(self, backbone: bytes, heads: bytes) -> Self:
        """The same with the content of two files; ``ValueError`` says which cannot be used."""
        states = []
        for field, content in (("backbone", backbone), ("heads", heads)):
            try:
                states.append(read_state(content))
            except ValueError as error:
                raise ValueError(f"{field}: {error}") from None
        network, weights = self.built(*states)
        digests = (("backbone_sha256", sha256_hex(backbone)[:16]), ("heads_sha256", sha256_hex(heads)[:16]))
        protocol = replace(self.protocol, parameters=digests)
        return replace(self, protocol=protocol, backbone=network, heads=tuple(weights))

    def seen(self, image_13HW: Tensor) -> list[Tensor]:
        """What the user's network makes of an image in [0, 1]."""
        assert self.backbone is not None, "the recipe builds it with its files"
        mean, deviation = (image_13HW.new_tensor(each).view(3, 1, 1) for each in (_MEAN, _DEVIATION))
        found: list[Tensor] = self.backbone.to(image_13HW.device)((image_13HW - mean) / deviation)
        return found


@lru_cache(maxsize=1)
def _lite0() -> Lite0:
    return Lite0()


def require_lite0() -> None:
    """``FeatureNetworkError`` where the extra ``perceptual`` is missing, or is another."""
    _lite0()


def lite0_layers(image_13HW: Tensor) -> list[Tensor]:
    """Features of EfficientNet-Lite0; ``FeatureNetworkError`` where the extra is missing."""
    found = _lite0().to(image_13HW.device).after_blocks(image_13HW, LITE0)
    return [found[number] for number in LITE0]


def shares(valid_11HW: Tensor, features_1Chw: Tensor) -> Tensor:
    """(1, 1, h, w) float64 that sum to 1: how much each position of the features counts."""
    height, width = features_1Chw.shape[-2:]
    share = F.adaptive_avg_pool2d(valid_11HW, (height, width)).double()
    return share / share.sum()
