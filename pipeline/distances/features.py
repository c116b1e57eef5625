"""Features of EfficientNet-Lite0 (ImageNet-1k): what the last pooling gives.

Shapes: B batch, C channels, H and W height and width, D = 1280 features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.features import FeatureNetworkError, Lite0
from models.operators.resample import imresize
from pipeline.errors import JobError

SIDE = 224
"""Images are resized to this height and width, whatever their shape, by MATLAB's bicubic, not rounded."""


class Lite0Features:
    """``features(image_BCHW)`` gives (B, D) float32. Raises ``JobError`` where the extra is missing."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        try:
            self._network = Lite0().to(device)
        except FeatureNetworkError as error:
            raise JobError(f"distances need features: {error}") from error
        self._device = torch.device(device)

    @torch.inference_mode()
    def __call__(self, image_BCHW: Tensor) -> Tensor:
        """Features of float images in [0, 1] with 1 or 3 channels; ``ValueError`` for other counts."""
        image_BCHW = image_BCHW.to(self._device, torch.float32)
        resized_BCHW = imresize(image_BCHW, SIDE, SIDE, kernel="bicubic").clamp(0, 1)
        features_BDhw: Tensor = self._network(resized_BCHW)
        return features_BDhw.mean(dim=(2, 3))
