"""Large images in tiles: what each reads, which part of it is kept, and with which weight. Only geometry.

A tile is a core and a halo around it. Tiles of one image have one shape; those at the image's border
lie flush with it, so that a network's own padding happens where it would in the whole image. All origins
are multiples of the card's ``multiple_of``: a network that halves its input sees the same pixels paired.
The image is already padded to such a multiple, so no tile needs padding of its own.

``crop`` keeps the cores: the pixels of the whole image, for restorers that look no farther than their
halo. ``feather`` blends neighbours over twice the halo: it hides the differences that others show.

Shapes: L length of one side.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from models.card import Card

CORE = 512
"""Most pixels of a core's side. Larger ones gain little over their halo, and on a CPU they leave the cache:
FFDNet keeps 0.154, 0.164, 0.162 and 0.157 Mpixel/s a CPU core in tiles of 320, 448, 576 and 832 pixels."""
LEAST_CORE = 64
"""Where too little memory stops making cores smaller."""
FEATHER = 64
"""Half the width of a blend, in pixels, where the card names no halo."""


class Span(NamedTuple):
    """A tile along one side of an image: reads ``start`` to ``stop``, answers for ``first`` to ``last``."""

    start: int
    stop: int
    first: int
    last: int


def spans(length: int, core: int, halo: int, multiple: int) -> list[Span]:
    """Tiles over a side of ``length`` pixels; their cores cover it once, in order.

    ``length``, ``core`` and ``halo`` are multiples of ``multiple``, and so is every ``start``. A side that
    fits a tile of ``core + 2 halo`` is one; more tiles share it evenly.
    """
    assert length % multiple == core % multiple == halo % multiple == 0, (length, core, halo, multiple)
    if length <= core + 2 * halo:
        return [Span(0, length, 0, length)]
    evenly = rounded_up(-(-length // -(-length // core)), multiple)
    core = max(evenly, min(core, 2 * halo))  # blends of two borders must not meet
    side = min(core + 2 * halo, length)
    found = []
    for first in range(0, length, core):
        start = min(max(first - halo, 0), length - side)
        found.append(Span(start, start + side, first, min(first + core, length)))
    return found


def rounded_up(length: int, multiple: int) -> int:
    """The next multiple, or the length itself."""
    return -(-length // multiple) * multiple


@dataclass(frozen=True)
class Tiling:
    """How images of any size are cut for one restorer."""

    core: int
    """Most pixels of a core's side."""
    halo: int
    """Pixels around a core that are read and not kept; half the width of a blend."""
    multiple: int = 1
    """Core, halo and all origins are multiples of this."""
    blend: Literal["crop", "feather"] = "crop"
    """``crop``: exactly the cores. ``feather``: neighbours blended linearly over twice the halo."""

    @classmethod
    def of(cls, card: Card, core: int = CORE) -> Tiling | None:
        """What the card allows: exact cores, a blend, or nothing where operators are inverted.

        A blur's inverse has no end, so its seams could not be hidden, and its data step would be told
        of an image that is not there.
        """
        multiple = card.multiple_of
        least = card.minimum_size
        if card.tile_exact:
            assert card.halo is not None, card.name
            halo = rounded_up(card.halo, multiple)
            return cls(rounded_up(max(core, least - 2 * halo, 1), multiple), halo, multiple)
        if card.inverts_operators:
            return None
        halo = rounded_up(FEATHER if card.halo is None else max(card.halo, FEATHER), multiple)
        return cls(rounded_up(max(core, 2 * halo, least - 2 * halo), multiple), halo, multiple, "feather")

    def described(self) -> dict[str, Any]:
        """The row's ``tiling``."""
        return {"tile": self.core, "halo": self.halo, "blend": self.blend}

    def tiles(self, height: int, width: int) -> list[tuple[Span, Span]]:
        """Rows and columns of every tile, in reading order."""
        rows, columns = (spans(side, self.core, self.halo, self.multiple) for side in (height, width))
        return list(itertools.product(rows, columns))

    def cuts(self, height: int, width: int) -> bool:
        """Whether an image of this size needs more than one tile."""
        return max(height, width) > self.core + 2 * self.halo


def tiles_of(tiling: Tiling | None, height: int, width: int) -> list[tuple[Span, Span]]:
    """Rows and columns of every tile; without a tiling, one that is the image."""
    if tiling is None:
        return [(Span(0, height, 0, height), Span(0, width, 0, width))]
    return tiling.tiles(height, width)


def ramp(span: Span, length: int, halo: int, scale: int = 1) -> Tensor:
    """L, float64: a tile's weights along one side, at ``scale`` times its pixels.

    1 in the middle and up to an image edge; around an inner border of the core it falls linearly over
    ``2 halo`` pixels and never reaches 0 at a pixel's centre. Those of neighbours sum to 1.
    """
    centre_L = torch.arange(span.start * scale, span.stop * scale, dtype=torch.float64) + 0.5
    weight_L = torch.ones_like(centre_L)
    width = max(2 * halo * scale, 1)
    if span.first > 0:
        weight_L = ((centre_L - (span.first - halo) * scale) / width).clamp(0, 1)
    if span.last < length:
        weight_L = weight_L.minimum((((span.last + halo) * scale - centre_L) / width).clamp(0, 1))
    return weight_L
