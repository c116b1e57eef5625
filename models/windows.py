"""A restorer led over its images window by window, and the windows joined.

Shapes: B batch, C channels, H and W height and width, N windows of a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.contract import Condition, Core
from models.tiling import Span, Tiling, ramp, windows_of


@dataclass(frozen=True)
class Windows:
    """A ``models.restorer.Way``: windows of all images of the batch, so many pixels to a call."""

    tiling: Tiling | None
    """``None`` leaves every image whole."""
    pixels: int
    """Most input pixels of one call; a single window always goes."""

    def __call__(self, core: Core, image_BCHW: Tensor, condition: Condition, scale: int) -> Tensor:
        """``core`` over all windows; the joined result is where the image is."""
        batch, _, height, width = image_BCHW.shape
        windows = windows_of(self.tiling, height, width)
        read = windows[0]
        area = (read[0].stop - read[0].start) * (read[1].stop - read[1].start)
        pieces = [(image, *window) for image in range(batch) for window in windows]
        canvas: Canvas | None = None
        for call in _batched(pieces, max(self.pixels // area, 1)):
            restored_NCHW = core(_read(image_BCHW, call), _told(condition, call))
            if len(call) == len(pieces) and len(windows) == 1:
                return restored_NCHW
            if canvas is None:
                canvas = Canvas(batch, restored_NCHW, height * scale, width * scale)
            for (image, rows, columns), restored_CHW in zip(call, restored_NCHW, strict=True):
                if self.tiling is not None and self.tiling.blend == "feather":
                    canvas.blend(image, restored_CHW, rows, columns, self.tiling.halo, scale)
                else:
                    canvas.put(image, restored_CHW, rows, columns, scale)
        assert canvas is not None, "an empty batch"
        return canvas.image_BCHW.to(image_BCHW.device)


class Canvas:
    """The joined result in the host's memory: a device then holds a call's activations and no more."""

    def __init__(self, batch: int, like_NCHW: Tensor, height: int, width: int) -> None:
        self.image_BCHW = torch.zeros((batch, like_NCHW.shape[1], height, width), dtype=like_NCHW.dtype)

    def put(self, image: int, restored_CHW: Tensor, rows: Span, columns: Span, scale: int) -> None:
        """Writes a window's core; every pixel is written once."""
        part_CHW = restored_CHW[:, _kept(rows, scale), _kept(columns, scale)]
        self.image_BCHW[image, :, _core(rows, scale), _core(columns, scale)] = part_CHW

    def blend(
        self, image: int, restored_CHW: Tensor, rows: Span, columns: Span, halo: int, scale: int
    ) -> None:
        """Adds a window with weights that fall towards its neighbours and sum to one everywhere."""
        _, _, height, width = self.image_BCHW.shape
        weight_H = ramp(rows, height // scale, halo, scale)
        weight_W = ramp(columns, width // scale, halo, scale)
        weight_HW = (weight_H[:, None] * weight_W).to(self.image_BCHW.dtype)
        target = self.image_BCHW[image, :, _all(rows, scale), _all(columns, scale)]
        target += restored_CHW.to(target.device) * weight_HW


Piece = tuple[int, Span, Span]
"""Image of the batch, rows, columns."""


def _batched(pieces: list[Piece], most: int) -> Iterator[list[Piece]]:
    for first in range(0, len(pieces), most):
        yield pieces[first : first + most]


def _read(image_BCHW: Tensor, call: list[Piece]) -> Tensor:
    if len(call) == len(image_BCHW) and _covers(call[0], image_BCHW):
        return image_BCHW  # every image whole: no copy
    return torch.stack([image_BCHW[image, :, _all(rows), _all(columns)] for image, rows, columns in call])


def _covers(piece: Piece, image_BCHW: Tensor) -> bool:
    _, rows, columns = piece
    return (rows.start, columns.start, rows.stop, columns.stop) == (0, 0, *image_BCHW.shape[-2:])


def _told(condition: Condition, call: list[Piece]) -> Condition:
    """The condition of each window: its image's noise level, and its part of the mask."""
    told = condition.select([image for image, _, _ in call])
    if told.mask_B1HW is None:
        return told
    masks = [
        mask[:, _all(rows), _all(columns)]
        for mask, (_, rows, columns) in zip(told.mask_B1HW, call, strict=True)
    ]
    return replace(told, mask_B1HW=torch.stack(masks))


def _all(span: Span, scale: int = 1) -> slice:
    return slice(span.start * scale, span.stop * scale)


def _core(span: Span, scale: int) -> slice:
    return slice(span.first * scale, span.last * scale)


def _kept(span: Span, scale: int) -> slice:
    return slice((span.first - span.start) * scale, (span.last - span.start) * scale)
