"""Masks: pixels that are lost. A mask is 1 where a pixel stays known and 0 where it must be made up.

Every mask operator draws the mask of one image with ``mask(height, width, rng)``; calling it on an image
draws the same mask from the same state of the generator and multiplies. Nothing covers a whole image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from models.operators.draws import integer, uniform
from models.parameters import Checked, choice, number

# Masks are drawn by NumPy: hundreds of small strokes cost it a quarter of what they cost torch.
Drawing = NDArray[np.bool_]
"""HW: true where a pixel is hidden."""


class Masking(Checked):
    """Multiplies each image of a batch with a mask of its own, the same for all channels."""

    def mask(self, height: int, width: int, rng: Generator) -> Tensor:
        """1HW float32 on ``rng``'s device: 1 where a pixel stays known."""
        raise NotImplementedError

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The image with the lost pixels set to 0."""
        batch, _, height, width = image_BCHW.shape
        mask_B1HW = torch.stack([self.mask(height, width, rng) for _ in range(batch)])
        return image_BCHW * mask_B1HW.to(image_BCHW)


def draw_box(hidden_HW: Drawing, top: int, left: int, height: int, width: int) -> None:
    """Hides a rectangle."""
    hidden_HW[top : top + height, left : left + width] = True


def draw_segment(
    hidden_HW: Drawing, start: tuple[float, float], end: tuple[float, float], width: float
) -> None:
    """Hides the pixels within width / 2 of the line from ``start`` to ``end``, points as (y, x)."""
    radius = max(width / 2, 0.5)
    (top, bottom), (left, right) = (
        (max(math.floor(min(a, b) - radius), 0), min(math.ceil(max(a, b) + radius) + 1, size))
        for a, b, size in zip(start, end, hidden_HW.shape, strict=True)
    )
    y_H1 = np.arange(top, bottom)[:, None] - start[0]
    x_1W = np.arange(left, right)[None, :] - start[1]
    dy, dx = end[0] - start[0], end[1] - start[1]
    along_HW = np.clip((y_H1 * dy + x_1W * dx) / max(dy * dy + dx * dx, 1e-12), 0, 1)
    distance2_HW = (y_H1 - along_HW * dy) ** 2 + (x_1W - along_HW * dx) ** 2
    hidden_HW[top:bottom, left:right] |= distance2_HW <= radius * radius


def known(hidden_HW: Drawing, rng: Generator) -> Tensor:
    """The mask, 1HW float32 on ``rng``'s device."""
    return torch.from_numpy(~hidden_HW).to(rng.device).float()[None]


@dataclass(frozen=True)
class Mask(Masking):
    """Random boxes or strokes until ``share`` of the pixels is hidden.

    The share is hit to half a percent of the pixels, or a few pixels of a tiny image.
    """

    name: ClassVar[str] = "mask"

    share: float = number(0.25, 0, 0.9)
    """Share of the pixels to hide, in [0, 0.9]."""
    shape: str = choice("boxes", "strokes")
    """"boxes" or "strokes"."""

    def mask(self, height: int, width: int, rng: Generator) -> Tensor:
        """1HW float32 on ``rng``'s device: 1 where a pixel stays known."""
        hidden_HW = np.zeros((height, width), dtype=np.bool_)
        wanted = math.floor(self.share * height * width)
        tolerance = max(1, height * width // 200)
        draw = self._box if self.shape == "boxes" else self._stroke
        while (missing := wanted - int(hidden_HW.sum())) >= tolerance:
            draw(hidden_HW, missing, rng)
        return known(hidden_HW, rng)

    def _box(self, hidden_HW: Drawing, missing: int, rng: Generator) -> None:
        height, width = hidden_HW.shape
        # A box never holds more pixels than are missing, so that the share is not overshot.
        area = max(1.0, missing * uniform(0.1, 1.0, rng))
        aspect = 2 ** uniform(-1.0, 1.0, rng)
        box_height = min(height, max(1, int(math.sqrt(area * aspect))))
        box_width = min(width, max(1, int(area / box_height)))
        top, left = integer(0, height - box_height, rng), integer(0, width - box_width, rng)
        draw_box(hidden_HW, top, left, box_height, box_width)

    def _stroke(self, hidden_HW: Drawing, missing: int, rng: Generator) -> None:
        height, width = hidden_HW.shape
        start = uniform(0, height - 1, rng), uniform(0, width - 1, rng)
        angle = uniform(0, 2 * math.pi, rng)
        length = uniform(0, min(height, width) / 3, rng)
        # Nor a stroke.
        thickness = min(uniform(1, max(1.0, min(height, width) / 12), rng), missing / (length + 1))
        end = start[0] + length * math.sin(angle), start[1] + length * math.cos(angle)
        draw_segment(hidden_HW, start, end, thickness)


@dataclass(frozen=True)
class BoxMask(Masking):
    """One rectangle of the image's own proportions, in the middle or anywhere."""

    name: ClassVar[str] = "box_mask"

    side: float = number(0.5, 0, 0.95)
    """Sides of the rectangle as a fraction of the image's, in [0, 0.95]."""
    position: str = choice("centre", "random")
    """"centre" or "random"."""

    def mask(self, height: int, width: int, rng: Generator) -> Tensor:
        """1HW float32 on ``rng``'s device: 1 where a pixel stays known."""
        box = round(self.side * height), round(self.side * width)
        if box == (height, width):
            box = (0, 0)  # an image of one pixel or so: nothing would be left
        top, left = (height - box[0]) // 2, (width - box[1]) // 2
        if self.position == "random":
            top, left = integer(0, height - box[0], rng), integer(0, width - box[1], rng)
        hidden_HW = np.zeros((height, width), dtype=np.bool_)
        draw_box(hidden_HW, top, left, *box)
        return known(hidden_HW, rng)


@dataclass(frozen=True)
class _Strokes:
    """How LaMa draws one kind of mask on an image of 256 x 256: counts, and pixels from .. to."""

    strokes: tuple[int, int]
    length: int
    width: int
    box_chance: float = 0.0
    boxes: int = 1
    box_side: tuple[int, int] = (0, 0)
    box_margin: int = 0


_THICKNESSES = {
    "thin": _Strokes(strokes=(4, 50), length=40, width=10),
    "medium": _Strokes(strokes=(4, 5), length=100, width=50, box_chance=0.3, boxes=5, box_side=(10, 50)),
    "thick": _Strokes(
        strokes=(1, 5), length=200, width=100, box_chance=0.3, boxes=3, box_side=(30, 150), box_margin=10
    ),
}


@dataclass(frozen=True)
class IrregularMask(Masking):
    """Bent strokes and a few boxes: LaMa's thin, medium and thick masks (Suvorov et al. 2022, supplement).

    Their measures are for 256 pixels and grow with the image's shorter side. Masks that hide more than
    half of the image are drawn again, as in LaMa's evaluation.
    """

    name: ClassVar[str] = "irregular_mask"

    thickness: str = choice("medium", "thin", "thick")
    """"thin", "medium" or "thick"."""

    def mask(self, height: int, width: int, rng: Generator) -> Tensor:
        """1HW float32 on ``rng``'s device: 1 where a pixel stays known."""
        for _ in range(100):
            hidden_HW = self._hidden(height, width, rng)
            if 2 * int(hidden_HW.sum()) <= height * width:
                return known(hidden_HW, rng)
        raise ValueError(
            f"{self.name}: no {self.thickness} mask leaves half of an image of {height} x {width} pixels; "
            "use a larger image or a thinner mask"
        )

    def _hidden(self, height: int, width: int, rng: Generator) -> Drawing:
        kind, scale = _THICKNESSES[self.thickness], min(height, width) / 256
        hidden_HW = np.zeros((height, width), dtype=np.bool_)
        for _ in range(integer(*kind.strokes, rng)):
            self._stroke(hidden_HW, kind, scale, rng)
        if uniform(0, 1, rng) < kind.box_chance:
            for _ in range(integer(1, kind.boxes, rng)):
                self._box(hidden_HW, kind, scale, rng)
        return hidden_HW

    def _stroke(self, hidden_HW: Drawing, kind: _Strokes, scale: float, rng: Generator) -> None:
        height, width = hidden_HW.shape
        point = uniform(0, height - 1, rng), uniform(0, width - 1, rng)
        for segment in range(integer(1, 5, rng)):
            # Turning left and right by turns is what bends the strokes.
            angle = uniform(0, 4, rng) * (1 if segment % 2 else -1)
            length, thickness = (
                scale * uniform(10, 10 + kind.length, rng),
                scale * uniform(5, 5 + kind.width, rng),
            )
            end = (
                min(max(point[0] + length * math.cos(angle), 0), height - 1),
                min(max(point[1] + length * math.sin(angle), 0), width - 1),
            )
            draw_segment(hidden_HW, point, end, thickness)
            point = end

    def _box(self, hidden_HW: Drawing, kind: _Strokes, scale: float, rng: Generator) -> None:
        margin = round(kind.box_margin * scale)
        sides = [round(scale * uniform(*kind.box_side, rng)) for _ in range(2)]
        corner = [
            integer(margin, max(margin, size - margin - side), rng)
            for size, side in zip(hidden_HW.shape, sides, strict=True)
        ]
        draw_box(hidden_HW, *corner, *sides)
