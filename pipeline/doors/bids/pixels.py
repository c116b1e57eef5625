"""Fields of sidecars that count in pixels: on another grid they say something else (BIDS 1.10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import PIL.Image

from pipeline.errors import ImageError
from pipeline.formats.grid import Grid
from pipeline.formats.nifti.head import head_of, version_of

_PIXEL_SIZE = "PixelSize"
_SPACING, _LINES, _DIRECTION = "EffectiveEchoSpacing", "ReconMatrixPE", "PhaseEncodingDirection"
"""Of echo-planar images: seconds from one line of the reconstructed image to the next, how many lines there
are, and along which axis; axes i and j are the first two."""
COUNTED = (_PIXEL_SIZE, _SPACING, _LINES)
"""What ``on_grid`` changes."""
_HEAD = 1 << 16


def on_grid(fields: Mapping[str, Any], source: tuple[int, int], output: tuple[int, int]) -> dict[str, Any]:
    """The fields as they hold of an image of another size (height and width); without those that cannot."""
    told = dict(fields)
    if source == output:
        return told
    try:
        factor = float(Grid.between(source, output).factor)
    except ImageError:
        return {name: value for name, value in told.items() if name not in COUNTED}
    size = told.get(_PIXEL_SIZE)
    if isinstance(size, list) and all(isinstance(each, int | float) for each in size):
        told[_PIXEL_SIZE] = [each / factor if axis < 2 else each for axis, each in enumerate(size)]
    if str(told.get(_DIRECTION, ""))[:1] in ("i", "j"):
        if isinstance(told.get(_SPACING), int | float):
            told[_SPACING] /= factor
        if isinstance(told.get(_LINES), int | float):
            told[_LINES] = round(told[_LINES] * factor)
    return told


def size_of(file: IO[bytes]) -> tuple[int, int]:
    """Height and width of a result, by its header. Raises what its reader raises."""
    head = head_of(file.read(_HEAD))
    if version_of(head) is not None:
        from pipeline.formats.nifti.header import read_header  # start-up: with it comes nibabel, an extra

        return read_header(head).size
    file.seek(0)
    with PIL.Image.open(file) as picture:
        return picture.height, picture.width
