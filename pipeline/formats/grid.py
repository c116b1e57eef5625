"""How the pixel grid of an output is placed on the grid of its source."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pipeline.errors import ImageError


@dataclass(frozen=True)
class Grid:
    """An output of ``factor`` pixels per source pixel, both grids sharing their upper left corner."""

    factor: Fraction
    """2 after super-resolution by 2; 1/4 for a copy shrunk by 4; 1 for the source's own pixels."""
    size: tuple[int, int]
    """Height and width of the output."""
    source: tuple[int, int]
    """Height and width of the part of the source that the output covers."""

    @classmethod
    def between(cls, source: tuple[int, int], output: tuple[int, int]) -> Grid:
        """The only way sizes come about here: enlarged by a whole number, or cut at the lower right so
        that a whole number divides it, and shrunk by that.

        ``ImageError("BAD_GEOMETRY")`` for sizes that do not fit.
        """
        factor = Fraction(output[0], source[0])
        if factor >= 1 and factor.denominator == 1 and output[1] == source[1] * factor:
            return cls(factor, output, source)
        shrink = source[0] // output[0]
        if 1 <= shrink == source[1] // output[1]:
            return cls(Fraction(1, shrink), output, (output[0] * shrink, output[1] * shrink))
        raise ImageError(
            "BAD_GEOMETRY",
            f"{output[1]} x {output[0]} pixels are no whole multiple or part of the source's "
            f"{source[1]} x {source[0]}, so that their place is unknown; choose output_format png",
        )

    @property
    def is_same(self) -> bool:
        """Whether pixels keep their places; pixels at the lower right may be gone."""
        return self.factor == 1

    @property
    def shift(self) -> float:
        """Where the centre of the output's first pixel is, in source pixels from the first's centre."""
        return float((1 / self.factor - 1) / 2)
