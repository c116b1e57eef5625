"""What blurred an image, found in the image itself: a kernel, or why there is none that can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from models.kernel_estimation.estimators import ESTIMATORS
from models.operators.base import LinearOperator
from pipeline.conditions.kernels import blur_of, refuse_larger
from pipeline.hashing import sha256_hex
from pipeline.imaging.image import Image
from pipeline.imaging.nodata import filled


def estimated_blur(
    image: Image, estimator: str, border: str
) -> tuple[tuple[LinearOperator, ...], dict[str, Any]]:
    """The operator, none where the image does not tell it for sure; and what the row says of it."""
    unit_CHW = torch.from_numpy(np.ascontiguousarray(filled(image).to_unit().transpose(2, 0, 1)))
    with torch.inference_mode():
        found = ESTIMATORS[estimator](unit_CHW)
    row: dict[str, Any] = {"from": estimator, "confidence": round(found.confidence, 3)}
    row |= found.parameters
    if found.doubt:
        return (), row | {"left_as_it_is": found.doubt}
    kernel_KK = found.kernel_KK.numpy().astype(np.float64)
    operators = (blur_of(kernel_KK, border),)
    refuse_larger(operators, image)
    return operators, row | {"side": len(kernel_KK), "sha256": sha256_hex(kernel_KK.tobytes())}
