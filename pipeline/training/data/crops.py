"""Crops of a step: cut and turned as they are stored, brought to the device together.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pipeline.training.data.pictures import Picture, span_of
from pipeline.training.data.sampler import Draw
from pipeline.training.recipe.sections import Data

Pixels = NDArray[Any]


def cut_crops(
    draws: Sequence[Draw], pictures: Mapping[int, Picture], data: Data, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """The crops that are learnt, BCHW in [0, 1], and of pairs the same places of the images as found."""
    cuts = [_cut(draw, pictures[draw.picture], data.crop) for draw in draws]
    target_BCHW = _uploaded([target for target, _ in cuts], device)
    if data.downsample > 1:
        target_BCHW = F.avg_pool2d(target_BCHW, data.downsample)
    found = [each for _, each in cuts if each is not None]
    return target_BCHW, _uploaded(found, device) if found else None


def _cut(draw: Draw, picture: Picture, side: int) -> tuple[Pixels, Pixels | None]:
    """CHW as stored."""
    scale = picture.scale
    places = [(top - top % scale, left - left % scale) for top, left in draw.places]
    crops = [picture.pixels_HWC[top : top + side, left : left + side] for top, left in places]
    chosen = max(range(len(crops)), key=lambda i: _gradient_strength(crops[i])) if len(crops) > 1 else 0
    target_CHW = _turned(crops[chosen], draw)
    if picture.found_HWC is None:
        return target_CHW, None
    top, left = (each // scale for each in places[chosen])
    found_HWC = picture.found_HWC[top : top + side // scale, left : left + side // scale]
    return target_CHW, _turned(found_HWC, draw)


def _turned(crop_HWC: Pixels, draw: Draw) -> Pixels:
    turned_HWC = np.rot90(crop_HWC[:, ::-1] if draw.flip else crop_HWC, draw.quarters)
    turned_CHW = turned_HWC.transpose(2, 0, 1)
    return turned_CHW if draw.channels == tuple(range(len(turned_CHW))) else turned_CHW[list(draw.channels)]


def _uploaded(crops: Sequence[Pixels], device: torch.device) -> Tensor:
    """Fractions of the range. They cross the bus as they are stored, from pinned pages, in one piece."""
    spans = [span_of(each) for each in crops]
    if len({each.dtype for each in crops}) > 1:  # stored in several depths: in float32, which all of them fit
        crops = [each.astype(np.float32) for each in crops]
    stored_BCHW = torch.from_numpy(np.stack(crops))
    if device.type == "cuda":
        stored_BCHW = stored_BCHW.pin_memory()
    span_B111 = torch.tensor(spans, device=device)[:, None, None, None]
    return stored_BCHW.to(device, non_blocking=True).float() / span_B111


def _gradient_strength(crop_HWC: Pixels) -> float:
    """Mean absolute difference of neighbours, in stored steps."""
    values = crop_HWC.astype(np.float32)
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())
