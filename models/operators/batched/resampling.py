"""Resampling and separable blur of each image by matrices of its own, all of them in one product.

Shapes: B batch, C channels (1 where one matrix serves all), H and W height and width, R rows of a matrix.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from models.operators.banded import BandedMatrix, Separable
from models.operators.batched.batch import Batch
from models.operators.batched.draws import Draws
from models.operators.batched.whole import is_slower_together, one_by_one
from models.operators.parameters import ROUNDINGS


def resample(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Operators of one rounding (``grid``); those that round do so after either pass, the height's first."""
    if is_slower_together(batch):
        return one_by_one(operators, batch, draws)
    return multiplied(operators, batch)


def multiplied(operators: Sequence[Any], batch: Batch) -> Batch:
    """By dense matrices, whatever the device."""
    matrices = [
        _matrices(operator, batch.image_BCHW.shape[1], *size)
        for operator, size in zip(operators, batch.sizes, strict=True)
    ]
    top = ROUNDINGS[grid(operators[0])]
    image_BCHW = batch.image_BCHW
    if top:  # sums of whole numbers that end in exactly .5 are common
        image_BCHW = (image_BCHW * top).round_().clamp_(0, top).double()
    vertical_BCRH = _stacked([[axes.vertical for axes in each] for each in matrices], image_BCHW)
    horizontal_BCRW = _stacked([[axes.horizontal for axes in each] for each in matrices], image_BCHW)
    height, width = image_BCHW.shape[2:]
    lines = _on_grid(vertical_BCRH[..., :height] @ image_BCHW, top)
    made = _on_grid(lines @ horizontal_BCRW[..., :width].transpose(2, 3), top)
    sizes = tuple((each[0].vertical.height, each[0].horizontal.height) for each in matrices)
    return Batch((made / top if top else made).to(batch.image_BCHW.dtype).contiguous(), sizes)


def grid(operator: Any) -> str:
    """What is rounded to: operators of one batch must agree."""
    rounding: str = getattr(operator, "rounding", "none")
    return rounding


def _matrices(operator: Any, channels: int, height: int, width: int) -> list[Separable]:
    """One for all channels, or one for each."""
    if hasattr(operator, "_bands"):
        bands: list[Separable] = operator._bands(channels, height, width)
        return bands
    return [operator._matrices(height, width)]


def _on_grid(values: Tensor, top: int) -> Tensor:
    return values.add_(0.5).floor_().clamp_(0, top) if top else values


def _stacked(matrices: Sequence[Sequence[BandedMatrix]], like: Tensor) -> Tensor:
    """BCRW of all, each in the upper left corner."""
    rows = max(each.height for bands in matrices for each in bands)
    columns = max(each.width for bands in matrices for each in bands)
    channels = max(len(bands) for bands in matrices)
    stacked = torch.zeros(len(matrices), channels, rows, columns, dtype=torch.float64)
    for own_CRW, bands in zip(stacked, matrices, strict=True):
        for channel in range(channels):
            matrix = bands[channel % len(bands)]
            own_CRW[channel, : matrix.height, : matrix.width] = _dense(matrix)
    return stacked.to(like)


@functools.lru_cache(maxsize=64)
def _dense(matrix: BandedMatrix) -> Tensor:
    dense = torch.zeros(matrix.height, matrix.width, dtype=torch.float64)
    return dense.scatter_add_(1, matrix.columns_RT, matrix.weights_RT)
