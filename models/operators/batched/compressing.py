"""JPEG on tensors, each image in a quality of its own.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.operators.baseline_jpeg import through_baseline_jpeg
from models.operators.batched.batch import Batch, fields
from models.operators.batched.draws import Draws
from models.operators.batched.whole import on_host
from models.operators.compression import whole_levels
from models.operators.differentiable_jpeg import coded


def code(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """The differentiable form, of one ``subsampling``, images of one size."""
    quality_B = batch.image_BCHW.new_tensor(fields(operators, "quality"))
    return batch.with_pixels(coded(batch.image_BCHW, quality_B, operators[0].subsampling))


def code_exactly(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """libjpeg's own bits, of one ``subsampling``: by libjpeg on a CPU, which is faster there."""
    if batch.image_BCHW.device.type == "cpu":
        return on_host(operators, batch, draws)
    return code_in_whole_numbers(operators, batch)


def code_in_whole_numbers(operators: Sequence[Any], batch: Batch) -> Batch:
    """On any device."""
    whole_BCHW = whole_levels(batch.image_BCHW, 255).int()
    qualities = [int(each.quality) for each in operators]
    decoded_BCHW = through_baseline_jpeg(whole_BCHW, batch.sizes, qualities, operators[0].subsampling)
    return batch.with_pixels(decoded_BCHW.to(batch.image_BCHW) / 255)
