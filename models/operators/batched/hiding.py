"""Masks, stripes and haze: what is drawn on the CPU for each sample is laid over all images in one call.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from models.operators.batched.batch import Batch, fields
from models.operators.batched.draws import Draws
from models.operators.noise import LEVELS


def draw_masks(operators: Sequence[Any], batch: Batch, draws: Draws) -> Tensor:
    """B1HW: 1 where a pixel stays known."""
    masks = [
        operator.mask(*size, draws.generator(index))[None]
        for index, (operator, size) in enumerate(zip(operators, batch.sizes, strict=True))
    ]
    return Batch.joined(masks).image_BCHW.to(batch.image_BCHW)


def hide(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Lost pixels become 0."""
    return batch.with_pixels(batch.image_BCHW * draw_masks(operators, batch, draws))


def add_stripes(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Of one ``direction``."""
    is_columns = operators[0].direction == "columns"
    channels, gains, offsets = batch.image_BCHW.shape[1], list[Tensor](), list[Tensor]()
    for index, (operator, size) in enumerate(zip(operators, batch.sizes, strict=True)):
        lines = size[1] if is_columns else size[0]
        detectors = operator.detectors or lines
        draw = torch.randn(2, channels, detectors, generator=draws.generator(index))
        gain_CL, offset_CL = draw[:, :, torch.arange(lines) % detectors]
        for made, values_CL in ((gains, gain_CL), (offsets, offset_CL)):
            made.append((values_CL[:, None, :] if is_columns else values_CL[:, :, None])[None])
    gain, offset = (Batch.joined(each).image_BCHW.to(batch.image_BCHW) for each in (gains, offsets))
    factor_B111 = batch.column(fields(operators, "gain"))
    sigma_B111 = batch.column(fields(operators, "sigma")) / LEVELS
    return batch.with_pixels(batch.image_BCHW * (1 + factor_B111 * gain) + sigma_B111 * offset)


def add_haze(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Depths are drawn from each sample's generator."""
    depths = [
        operator._depth(*size, draws.generator(index))[None, None]
        for index, (operator, size) in enumerate(zip(operators, batch.sizes, strict=True))
    ]
    density_B111 = torch.tensor(fields(operators, "density"), dtype=torch.float64)[:, None, None, None]
    clear_B1HW = torch.exp(-density_B111 * Batch.joined(depths).image_BCHW).to(batch.image_BCHW)
    airlight_B111 = batch.column(fields(operators, "airlight"))
    return batch.with_pixels(batch.image_BCHW * clear_B1HW + airlight_B111 * (1 - clear_B1HW))
