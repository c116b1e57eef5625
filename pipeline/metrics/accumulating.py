"""Metrics that can be taken of an image section by section, for images that are never in memory as a whole.

Each section gives a part, parts merge in any order, and a score is made of what is left: the same as of
the image at once, for that is one section.

Shapes: B batch, K numbers of a part, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from torch import Tensor

from pipeline.metrics.base import Metric

Range = tuple[int, int]
"""First row or column, and the first one after the last."""


@dataclass(frozen=True)
class Section:
    """The part of an image that is to be counted, of what a metric is shown: a rectangle of the image."""

    size: tuple[int, int]
    """Height and width of the whole image."""
    rows: Range
    """Those that count."""
    columns: Range
    origin: tuple[int, int] = (0, 0)
    """Row and column of the whole image that are the first ones shown."""

    @classmethod
    def whole(cls, image_BCHW: Tensor) -> Section:
        """An image that is shown and counted as a whole."""
        height, width = image_BCHW.shape[-2:]
        return cls((height, width), (0, height), (0, width))

    @property
    def is_empty(self) -> bool:
        """Whether nothing counts."""
        return self.rows[0] >= self.rows[1] or self.columns[0] >= self.columns[1]

    def enlarged(self, scale: int) -> Section:
        """The same of the image so many times as large."""

        def times(pair: tuple[int, int]) -> tuple[int, int]:
            return pair[0] * scale, pair[1] * scale

        return Section(times(self.size), times(self.rows), times(self.columns), times(self.origin))

    def cut(self, height: int, width: int) -> Section:
        """The same of the upper left part of the image: what lies outside it counts no longer."""
        rows = self.rows[0], min(self.rows[1], height)
        columns = self.columns[0], min(self.columns[1], width)
        return replace(self, size=(height, width), rows=rows, columns=columns)

    def around(self, shown: Tensor, margin: int) -> Tensor:
        """What counts and so many pixels around it, as far as the image goes; any axes before H and W."""
        (top, bottom), (left, right) = (
            (max(first - margin, 0) - start, min(last + margin, length) - start)
            for (first, last), length, start in zip(
                (self.rows, self.columns), self.size, self.origin, strict=True
            )
        )
        assert min(top, left) >= 0, self
        assert bottom <= shown.shape[-2], (self, shown.shape)
        assert right <= shown.shape[-1], (self, shown.shape)
        return shown[..., top:bottom, left:right]

    def counted(self, surrounded: Tensor, margin: int, divisor: int = 1) -> Tensor:
        """What counts of ``around(..., margin)`` after that was made ``divisor`` times smaller."""
        top, left = (min(first, margin) // divisor for first in (self.rows[0], self.columns[0]))
        height, width = ((last - first) // divisor for first, last in (self.rows, self.columns))
        return surrounded[..., top : top + height, left : left + width]


@runtime_checkable
class Accumulating(Metric, Protocol):
    """A metric whose score is made of parts that merge."""

    @property
    def grid(self) -> int:
        """Rows and columns at which a section may begin and end inside the image: multiples of this.

        No section has fewer of them, but of an image that has fewer itself.
        """
        ...

    @property
    def reach(self) -> int:
        """Pixels that have to be shown around what counts, as far as the image goes."""
        ...

    def part(
        self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None, section: Section
    ) -> Tensor:
        """(B, K) float64: what the section adds. The images are what is shown of them."""
        ...

    def merged(self, first_BK: Tensor, second_BK: Tensor) -> Tensor:
        """(B, K): the part of two sections together."""
        ...

    def score(self, part_BK: Tensor) -> Tensor:
        """(B,) float64 scores, NaN where undefined."""
        ...


class BySections:
    """What all of them share: the image at once is one section."""

    def __call__(
        self: Accumulating, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None
    ) -> Tensor:
        """(B,) float64; the two images are those of the protocol's ``pair``."""
        whole = Section.whole(restored_BCHW)
        return self.score(self.part(restored_BCHW, reference_BCHW, valid_B1HW, whole))


class Summed(BySections):
    """Those whose parts are sums."""

    def merged(self, first_BK: Tensor, second_BK: Tensor) -> Tensor:
        """(B, K): sums add up."""
        return first_BK + second_BK
