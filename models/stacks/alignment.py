"""Frames laid on the first one.

Shapes: B batch, T frames, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.contract import Condition, RestorerError
from models.stacks.registration import register
from models.stacks.shifting import shifted


def frames_of(condition: Condition) -> Tensor:
    """BTCHW: the frames beside the image."""
    if condition.frames_BTCHW is None:
        raise RestorerError("CONDITION_MISSING", "this restorer needs the frames of the scene")
    return condition.frames_BTCHW


def aligned(image_BCHW: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
    """Image and frames, all where the image lies (B, 1 + T, CHW), and who saw which pixel (B, 1 + T, HW).

    Pixels that a frame did not see, beyond its border, and frames that show something else are not seen.
    """
    frames_BTCHW = frames_of(condition).to(image_BCHW)
    found = register(image_BCHW, frames_BTCHW)
    batch, count, channels, height, width = frames_BTCHW.shape
    moved = shifted(frames_BTCHW.flatten(0, 1), -found.shift_BT2.flatten(0, 1))
    seen = inside(found.shift_BT2, height, width) & found.usable[..., None, None]
    stack = torch.cat([image_BCHW[:, None], moved.view(batch, count, channels, height, width)], 1)
    return stack, torch.cat([torch.ones_like(seen[:, :1]), seen], 1)


def usable_frames(image_BCHW: Tensor, condition: Condition) -> list[tuple[Tensor, Tensor]]:
    """Of each image itself and the frames of the same scene (TCHW), and how far each lies from it (T, 2)."""
    frames_BTCHW = frames_of(condition).to(image_BCHW)
    found = register(image_BCHW, frames_BTCHW)
    each = zip(image_BCHW, frames_BTCHW, found.shift_BT2, found.usable, strict=True)
    return [
        (
            torch.cat([image_CHW[None], frames_TCHW[usable_T]]),
            torch.cat([shift_T2.new_zeros(1, 2), shift_T2[usable_T]]),
        )
        for image_CHW, frames_TCHW, shift_T2, usable_T in each
    ]


def inside(shift_BT2: Tensor, height: int, width: int) -> Tensor:
    """BTHW: whether the image's pixels are within a frame whose content lies so far away."""
    rows_H = torch.arange(height, device=shift_BT2.device)
    columns_W = torch.arange(width, device=shift_BT2.device)
    y_BTH = rows_H + shift_BT2[..., :1]
    x_BTW = columns_W + shift_BT2[..., 1:]
    rows = (y_BTH >= 0) & (y_BTH <= height - 1)
    return rows[..., None] & ((x_BTW >= 0) & (x_BTW <= width - 1))[..., None, :]
