"""Descriptions of TIFF files that say how many pixels there are, and how large they are: OME-XML, ImageJ.

OME-TIFF specification, version 2016-06, element Pixels; ImageJ keeps the unit in the description, and how
many pixels it has in the resolution.
"""

from __future__ import annotations

import re
from fractions import Fraction

from pipeline.errors import ImageError
from pipeline.formats.grid import Grid

IMAGEJ = "ImageJ="
_OME = re.compile(r"<(?:\w+:)?OME[\s>]")
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\s[^>]*>")
_SHAPED = re.compile(r'^\{"shape": \[')


def factor_of(source: tuple[int, int], output: tuple[int, int]) -> Fraction | None:
    """Pixels of the output a pixel of the source; ``None`` for sizes that do not go together."""
    try:
        return Grid.between(source, output).factor
    except ImageError:
        return None


def is_ome(description: str) -> bool:
    """Whether it is OME-XML."""
    return _OME.search(description) is not None


def only_states_the_shape(description: str) -> bool:
    """Whether it is the note that tifffile writes of the shape of an array, and nothing else."""
    return _SHAPED.match(description) is not None


def ome_on(description: str, source: tuple[int, int], output: tuple[int, int]) -> str | None:
    """OME-XML of an image of this height and width, of another one; ``None`` where it cannot say that.

    Its one ``Pixels`` get the new sizes, and pixels that are as many times smaller.
    """
    found, factor = _PIXELS.findall(description), factor_of(source, output)
    if factor is None or len(found) != 1:
        return None
    changed = found[0]
    for axis, before, after in (("Y", source[0], output[0]), ("X", source[1], output[1])):
        size = re.compile(rf'(\sSize{axis}=")(\d+)(")')
        if [each[1] for each in size.findall(changed)] != [str(before)]:
            return None
        changed = size.sub(rf"\g<1>{after}\g<3>", changed)
        length = re.search(rf'\sPhysicalSize{axis}="([^"]*)"', changed)
        if length is not None:
            try:
                physical = float(length[1]) / float(factor)
            except ValueError:
                return None
            changed = changed[: length.start(1)] + repr(physical) + changed[length.end(1) :]
    return description.replace(found[0], changed)
