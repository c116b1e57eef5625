"""An image of any size out of tiles of one size, side by side and cut around the middle.

Shapes: R images, T tiles of one image in reading order, C channels, N side of a tile, H and W height and
width of the image.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Mosaic:
    """``mosaic(tiles)`` lays out as few tiles as cover the image."""

    def __init__(self, height: int, width: int, side: int) -> None:
        self._height, self._width, self._side = height, width, side
        self._rows, self._columns = -(-height // side), -(-width // side)
        self._top = (self._rows * side - height) // 2
        self._left = (self._columns * side - width) // 2

    @property
    def tiles(self) -> int:
        """How many there are."""
        return self._rows * self._columns

    def __call__(self, tile_PCNN: Tensor) -> Tensor:
        """RCHW out of R x T tiles, those of an image one after the other."""
        channels, side = tile_PCNN.shape[1:3]
        grid = tile_PCNN.reshape(-1, self._rows, self._columns, channels, side, side)
        whole = grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, self._rows * side, self._columns * side)
        return whole[..., self._top : self._top + self._height, self._left : self._left + self._width]

    def sums(self, values_RHW: Tensor) -> Tensor:
        """RT: sums over the tiles, for values at any scale of the image."""
        row_H = self._tile_of(values_RHW.shape[1], self._height, self._top, values_RHW.device)
        column_W = self._tile_of(values_RHW.shape[2], self._width, self._left, values_RHW.device)
        tile_HW = row_H[:, None] * self._columns + column_W
        sums_RT = values_RHW.new_zeros(len(values_RHW), self.tiles)
        return sums_RT.index_add_(1, tile_HW.flatten(), values_RHW.flatten(1))

    def _tile_of(self, places: int, length: int, before: int, device: torch.device) -> Tensor:
        centre = (torch.arange(places, device=device) + 0.5) * (length / places)
        return ((centre + before) / self._side).long()
