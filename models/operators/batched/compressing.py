"""JPEG on tensors, each image in a quality of its own.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.operators.batched.batch import Batch, fields
from models.operators.batched.draws import Draws
from models.operators.differentiable_jpeg import coded


def code(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """The differentiable form, of one ``subsampling``, images of one size."""
    quality_B = batch.image_BCHW.new_tensor(fields(operators, "quality"))
    return batch.with_pixels(coded(batch.image_BCHW, quality_B, operators[0].subsampling))
