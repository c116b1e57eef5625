"""A model applied to its images tile by tile, and the tiles joined.

Shapes: B batch, C channels, H and W height and width, N tiles of a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.contract import Condition, RestorationModel
from models.tiling import Span, Tiling, ramp, tiles_of


@dataclass(frozen=True)
class TiledTraversal:
    """A ``models.contract.Traversal``: tiles of all images of the batch, so many pixels to a call."""

    tiling: Tiling | None
    """``None`` leaves every image whole."""
    pixels: int
    """Most input pixels of one call; a single tile always goes."""

    def __call__(
        self, model: RestorationModel, image_BCHW: Tensor, condition: Condition, scale: int
    ) -> Tensor:
        """``model`` over all tiles; the joined result is where the image is."""
        batch, _, height, width = image_BCHW.shape
        tiles = tiles_of(self.tiling, height, width)
        read = tiles[0]
        area = (read[0].stop - read[0].start) * (read[1].stop - read[1].start)
        pieces = [(image, *tile) for image in range(batch) for tile in tiles]
        canvas: Canvas | None = None
        for call in _batched(pieces, max(self.pixels // area, 1)):
            restored_NCHW = model(_read(image_BCHW, call), _condition_of(condition, call, scale))
            if len(call) == len(pieces) and len(tiles) == 1:
                return restored_NCHW
            if canvas is None:
                canvas = Canvas(batch, restored_NCHW, height * scale, width * scale)
            for (image, rows, columns), restored_CHW in zip(call, restored_NCHW, strict=True):
                if self.tiling is not None and self.tiling.blend == "feather":
                    canvas.blend(image, restored_CHW, rows, columns, self.tiling.halo, scale)
                else:
                    canvas.write(image, restored_CHW, rows, columns, scale)
        assert canvas is not None, "an empty batch"
        return canvas.image_BCHW


class Canvas:
    """The joined result, where the tiles are: what follows needs it there, and several times its size."""

    def __init__(self, batch: int, like_NCHW: Tensor, height: int, width: int) -> None:
        self.image_BCHW = like_NCHW.new_zeros((batch, like_NCHW.shape[1], height, width))

    def write(self, image: int, restored_CHW: Tensor, rows: Span, columns: Span, scale: int) -> None:
        """Writes a tile's core; every pixel is written once."""
        part_CHW = restored_CHW[:, _kept(rows, scale), _kept(columns, scale)]
        self.image_BCHW[image, :, _core(rows, scale), _core(columns, scale)] = part_CHW

    def blend(
        self, image: int, restored_CHW: Tensor, rows: Span, columns: Span, halo: int, scale: int
    ) -> None:
        """Adds a tile with weights that fall towards its neighbours and sum to one everywhere."""
        _, _, height, width = self.image_BCHW.shape
        weight_H = ramp(rows, height // scale, halo, scale)
        weight_W = ramp(columns, width // scale, halo, scale)
        weight_HW = (weight_H[:, None] * weight_W).to(self.image_BCHW)
        target = self.image_BCHW[image, :, _all(rows, scale), _all(columns, scale)]
        target += restored_CHW * weight_HW


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


def _condition_of(condition: Condition, call: list[Piece], scale: int) -> Condition:
    """The condition of each tile: its image's noise level, and its part of mask, frames and guide."""
    selected = condition.select([image for image, _, _ in call])
    return replace(
        selected,
        mask_B1HW=_cut(selected.mask_B1HW, call),
        frames_BTCHW=_cut(selected.frames_BTCHW, call),
        guide_BPHW=_cut(selected.guide_BPHW, call, scale),
    )


def _cut(images: Tensor | None, call: list[Piece], scale: int = 1) -> Tensor | None:
    """Of each image the part that its tile reads."""
    if images is None:
        return None
    parts = zip(images, call, strict=True)
    return torch.stack(
        [image[..., _all(rows, scale), _all(columns, scale)] for image, (_, rows, columns) in parts]
    )


def _all(span: Span, scale: int = 1) -> slice:
    return slice(span.start * scale, span.stop * scale)


def _core(span: Span, scale: int) -> slice:
    return slice(span.first * scale, span.last * scale)


def _kept(span: Span, scale: int) -> slice:
    return slice((span.first - span.start) * scale, (span.last - span.start) * scale)
