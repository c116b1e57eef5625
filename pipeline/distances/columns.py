"""Features of single images as bytes of the ledger, so that they commit with the unit that made them.

Shapes: B batch, C channels, H and W height and width, N images, D = 1280 features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.distances.features import Lite0Features

_STORED = np.dtype("<f2")
"""Half precision: 2.5 kB an image, and distances that differ by less than a thousandth."""


class FeatureColumns:
    """``columns(image_BCHW)`` gives each image's features as bytes; ``JobError`` without the extra."""

    def __init__(self, device: torch.device) -> None:
        self._network = Lite0Features(device)

    def __call__(self, image_BCHW: Tensor) -> list[bytes | None]:
        """``None`` for images of other than 1 or 3 channels, which the network cannot see."""
        if image_BCHW.shape[1] not in (1, 3):
            return [None] * len(image_BCHW)
        features_ND = self._network(image_BCHW).cpu().numpy().astype(_STORED)
        return [features_D.tobytes() for features_D in features_ND]


def features_of(stored: Sequence[bytes]) -> Tensor:
    """(N, D) float32 out of what ``FeatureColumns`` gave."""
    return torch.from_numpy(np.stack([np.frombuffer(each, _STORED) for each in stored]).astype(np.float32))
